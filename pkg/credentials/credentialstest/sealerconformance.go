package credentialstest

import (
	"bytes"
	"testing"

	"github.com/paceline/paceline/pkg/credentials"
)

// RunSealer checks an adapter of the sealer.
func RunSealer(t *testing.T, s credentials.Sealer) {
	want := pair("hunter2")
	seal, err := s.NewSeal(t.Context(), credentials.ProviderStrava)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal(credentials.Athlete(7), want)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Error("the sealed pair can be read")
	}
	got, err := s.Open(t.Context(), credentials.Athlete(7), sealed)
	if err != nil {
		t.Fatal(err)
	}
	mustBeSame(t, got, want)
	if _, err := s.Open(t.Context(), credentials.Athlete(8), sealed); err == nil {
		t.Error("another athlete opened the pair")
	}
	sealed[len(sealed)-2] ^= 1
	if _, err := s.Open(t.Context(), credentials.Athlete(7), sealed); err == nil {
		t.Error("a manipulated pair was opened")
	}
}
