package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every way of printing a [String] gives.
const Redacted = "[redacted]"

// String is a secret text. The value sits behind a pointer so that even a
// printer that walks unexported fields by reflection finds an address only.
// The zero String is empty.
type String struct{ p *string }

// New wraps a secret.
func New(s string) String { return String{p: &s} }

// Reveal returns the secret itself. Call it only where the value leaves for
// its rightful place: a request to its issuer, or the encrypted store.
func (s String) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty reports whether there is nothing to hide.
func (s String) Empty() bool { return s.Reveal() == "" }

// Equal compares in constant time.
func (s String) Equal(o String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// SHA256 is the hex digest of the secret, to recognise it by.
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
