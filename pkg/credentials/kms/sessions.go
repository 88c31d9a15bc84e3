package kms

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/golang-jwt/jwt/v5"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const issuer = "paceline"

// claims of a session.
type claims struct {
	jwt.RegisteredClaims
	Generation int64 `json:"gen"`
}

// Signer implements [credentials.Sessions].
type Signer struct {
	client *kms.Client
	keyID  string
}

// NewSigner makes a signer that uses the KMS key (ECC_NIST_P256, SIGN_VERIFY).
func NewSigner(client *kms.Client, keyID string) *Signer { return &Signer{client, keyID} }

// Sign implements [credentials.Sessions].
func (s *Signer) Sign(ctx context.Context, session credentials.Session, issuedAt, expiresAt time.Time) (secret.String, error) {
	signing, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    issuer,
			Subject:   strconv.FormatInt(session.AthleteID, 10),
			IssuedAt:  jwt.NewNumericDate(issuedAt),
			ExpiresAt: jwt.NewNumericDate(expiresAt),
		},
		Generation: session.Generation,
	}).SigningString()
	if err != nil {
		return secret.String{}, fmt.Errorf("encode session: %w", err)
	}
	digest := sha256.Sum256([]byte(signing))
	out, err := s.client.Sign(ctx, &kms.SignInput{
		KeyId:            aws.String(s.keyID),
		Message:          digest[:],
		MessageType:      types.MessageTypeDigest,
		SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	if err != nil {
		return secret.String{}, fault.New(fault.Transient, "sign session: %w", err)
	}
	raw, err := rawSignature(out.Signature)
	if err != nil {
		return secret.String{}, err
	}
	return secret.New(signing + "." + base64.RawURLEncoding.EncodeToString(raw)), nil
}

// rawSignature turns KMS's DER signature into JWS's: both integers, 32 bytes
// each (RFC 7518, section 3.4).
func rawSignature(der []byte) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return nil, errors.New("KMS returned a malformed signature")
	}
	raw := make([]byte, 64)
	sig.R.FillBytes(raw[:32])
	sig.S.FillBytes(raw[32:])
	return raw, nil
}

// Verifier checks sessions without asking anybody.
type Verifier struct {
	public *ecdsa.PublicKey
	parser *jwt.Parser
}

// NewVerifier fetches the public half of the KMS key, once.
func NewVerifier(ctx context.Context, client *kms.Client, keyID string, now func() time.Time) (*Verifier, error) {
	out, err := client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String(keyID)})
	if err != nil {
		return nil, fmt.Errorf("get the session key's public half: %w", err)
	}
	parsed, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("parse the session key's public half: %w", err)
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the session key is a %T, not an ECDSA key", parsed)
	}
	return &Verifier{public, jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodES256.Alg()}),
		jwt.WithIssuer(issuer),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(now),
	)}, nil
}

// Verify returns the session that the token proves. Whatever is wrong with it
// is the same invalid fault.
func (v *Verifier) Verify(token secret.String) (credentials.Session, error) {
	var c claims
	_, err := v.parser.ParseWithClaims(token.Reveal(), &c, func(*jwt.Token) (any, error) { return v.public, nil })
	if err != nil {
		return credentials.Session{}, fault.New(fault.Invalid, "not a valid session")
	}
	id, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil || id <= 0 || c.Generation <= 0 {
		return credentials.Session{}, fault.New(fault.Invalid, "not a valid session")
	}
	return credentials.Session{AthleteID: id, Generation: c.Generation}, nil
}
