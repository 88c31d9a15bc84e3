package ssm_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestRegistrationsAreCachedForAMinute(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	store := credentialstest.NewVault()
	vault := ssm.NewCachingVault(store, func() time.Time { return now })
	set := func(clientID string) {
		t.Helper()
		if err := store.SaveApp(t.Context(), "strava", credentials.App{ClientID: clientID}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(clientID string) {
		t.Helper()
		if app, err := vault.App(t.Context(), "strava"); err != nil || app.ClientID != clientID {
			t.Errorf("got %q, want %q (%v)", app.ClientID, clientID, err)
		}
	}
	if _, err := vault.App(t.Context(), "strava"); !fault.Is(err, fault.NotFound) {
		t.Errorf("before it is set: %v", err)
	}
	set("1") // That there is none is not cached.
	want("1")
	set("2")
	now = now.Add(time.Minute - time.Second)
	want("1")
	now = now.Add(time.Second)
	want("2")
	if _, err := vault.App(t.Context(), "fitbit"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another provider's: %v", err)
	}
}
