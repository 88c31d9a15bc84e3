package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestKindSurvivesWrapping(t *testing.T) {
	cause := errors.New("boom")
	err := fmt.Errorf("refresh token: %w", fault.New(fault.Transient, "call Strava: %w", cause))
	if !fault.Is(err, fault.Transient) || fault.Is(err, fault.Permanent) {
		t.Fatalf("kind is %s", fault.Of(err))
	}
	if !errors.Is(err, cause) {
		t.Fatal("the cause is lost")
	}
	if fault.Of(cause) != fault.Internal {
		t.Fatal("an unknown error is not internal")
	}
	if fault.Is(nil, fault.Internal) {
		t.Fatal("nil is a fault")
	}
}
