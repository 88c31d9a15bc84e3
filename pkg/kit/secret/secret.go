package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is the output of every way to print a [String].
const Redacted = "[redacted]"

// String is a secret text. It holds the value behind a pointer, so that even a
// printer that reads unexported fields by reflection finds only an address. The
// zero String is empty.
type String struct{ p *string }

// New wraps a secret.
func New(s string) String { return String{p: &s} }

// Reveal returns the secret. Call it only to send it to its issuer or to write
// it to the encrypted store.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty reports whether the secret is the empty string.
func (s String) Empty() bool { return s.Reveal() == "" }

// Equal compares in constant time.
func (s String) Equal(o String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// SHA256 returns the digest of the secret in hexadecimal.
func (s String) SHA256() string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}

// Format implements [fmt.Formatter] for every verb.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String implements [fmt.Stringer].
func (s String) String() string { return Redacted }

// GoString implements [fmt.GoStringer].
func (s String) GoString() string { return Redacted }

// LogValue implements [slog.LogValuer].
func (s String) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText implements encoding.TextMarshaler, and so covers JSON, XML and
// map keys.
func (s String) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
