package standin

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"math/rand/v2"
	"slices"
)

// NewRandom returns the source of a stand-in's secrets. One seed always gives
// the same secrets.
func NewRandom(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// NewSecret returns n random bytes in hexadecimal digits.
func NewSecret(random *rand.ChaCha8, n int) string {
	b := make([]byte, n)
	_, _ = random.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Secrets lists all that was ever issued, valid or not. None of it may appear in
// a client's logs, tables, queues or events; a test searches those for it.
type Secrets struct {
	ClientSecret  string   `json:"client_secret"`
	BasicAuth     string   `json:"basic_auth"` // client id and secret, as in an Authorization header
	AccessTokens  []string `json:"access_tokens"`
	RefreshTokens []string `json:"refresh_tokens"`
	Codes         []string `json:"codes"`
}

// NewSecrets returns the secrets in alphabetical order. tokens yields each token
// and whether it is a refresh token.
func NewSecrets(clientID, clientSecret string, tokens iter.Seq2[string, bool], codes iter.Seq[string]) Secrets {
	s := Secrets{
		ClientSecret: clientSecret,
		BasicAuth:    base64.StdEncoding.EncodeToString([]byte(clientID + ":" + clientSecret)),
		AccessTokens: []string{}, RefreshTokens: []string{}, Codes: slices.AppendSeq([]string{}, codes),
	}
	for token, refresh := range tokens {
		if refresh {
			s.RefreshTokens = append(s.RefreshTokens, token)
		} else {
			s.AccessTokens = append(s.AccessTokens, token)
		}
	}
	slices.Sort(s.AccessTokens)
	slices.Sort(s.RefreshTokens)
	slices.Sort(s.Codes)
	return s
}
