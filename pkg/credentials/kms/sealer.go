package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Sealer implements [credentials.Sealer] by envelope encryption: a data key of
// the KMS key, bound to the provider by its encryption context, encrypts by
// AES-256-GCM, which binds the pair to the account as additional data.
type Sealer struct {
	client *kms.Client
	keyID  string
}

// NewSealer returns a sealer that uses the symmetric KMS key.
func NewSealer(client *kms.Client, keyID string) *Sealer { return &Sealer{client, keyID} }

// envelope is a sealed pair.
type envelope struct {
	// Key is the data key, encrypted by KMS.
	Key   []byte `json:"key"`
	Nonce []byte `json:"nonce"`
	Data  []byte `json:"data"`
}

type sealedPair struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresAt    int64  `json:"expires_at"` // Unix s
	IssuedAt     int64  `json:"issued_at"`  // Unix ms
}

func encryptionContext(provider string) map[string]string {
	return map[string]string{settings.SealContextKey: provider}
}

// NewSeal implements [credentials.Sealer].
func (s *Sealer) NewSeal(ctx context.Context, provider string) (credentials.Seal, error) {
	key, err := s.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: aws.String(s.keyID), KeySpec: types.DataKeySpecAes256, EncryptionContext: encryptionContext(provider),
	})
	if err != nil {
		return nil, fault.New(fault.Transient, "generate data key: %w", err)
	}
	gcm, err := newGCM(key.Plaintext)
	if err != nil {
		return nil, err
	}
	return func(account credentials.Account, pair credentials.TokenPair) ([]byte, error) {
		plain, err := json.Marshal(sealedPair{pair.Access.Reveal(), pair.Refresh.Reveal(), pair.ExpiresAt.Unix(), pair.IssuedAt.UnixMilli()})
		if err != nil {
			return nil, fmt.Errorf("encode pair: %w", err)
		}
		nonce := make([]byte, gcm.NonceSize())
		_, _ = rand.Read(nonce) // Never fails; see crypto/rand.
		return json.Marshal(envelope{key.CiphertextBlob, nonce, gcm.Seal(nil, nonce, plain, []byte(account.String()))})
	}, nil
}

// Open implements [credentials.Sealer].
func (s *Sealer) Open(ctx context.Context, account credentials.Account, sealed []byte) (credentials.TokenPair, error) {
	var e envelope
	if err := json.Unmarshal(sealed, &e); err != nil {
		return credentials.TokenPair{}, fault.New(fault.Permanent, "the grant holds no sealed pair")
	}
	key, err := s.client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: aws.String(s.keyID), CiphertextBlob: e.Key, EncryptionContext: encryptionContext(account.Provider),
	})
	var (
		damaged  *types.InvalidCiphertextException
		otherKey *types.IncorrectKeyException
	)
	switch {
	case errors.As(err, &damaged), errors.As(err, &otherKey):
		return credentials.TokenPair{}, fault.New(fault.Permanent, "decrypt data key: %w", err)
	case err != nil:
		return credentials.TokenPair{}, fault.New(fault.Transient, "decrypt data key: %w", err)
	}
	gcm, err := newGCM(key.Plaintext)
	if err != nil {
		return credentials.TokenPair{}, err
	}
	if len(e.Nonce) != gcm.NonceSize() {
		return credentials.TokenPair{}, fault.New(fault.Permanent, "the grant holds no sealed pair")
	}
	plain, err := gcm.Open(nil, e.Nonce, e.Data, []byte(account.String()))
	if err != nil {
		return credentials.TokenPair{}, fault.New(fault.Permanent, "the sealed pair is damaged or another account's")
	}
	var p sealedPair
	if json.Unmarshal(plain, &p) != nil {
		return credentials.TokenPair{}, fault.New(fault.Permanent, "the grant holds no sealed pair")
	}
	return credentials.TokenPair{
		Access: secret.New(p.AccessToken), Refresh: secret.New(p.RefreshToken),
		ExpiresAt: time.Unix(p.ExpiresAt, 0).UTC(), IssuedAt: time.UnixMilli(p.IssuedAt).UTC(),
	}, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use data key: %w", err)
	}
	return cipher.NewGCM(block)
}
