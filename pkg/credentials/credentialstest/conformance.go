package credentialstest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Storage is everything that the grants table stores.
type Storage interface {
	credentials.Grants
	credentials.States
	credentials.Erasures
}

// RunStorage checks an adapter of the grants table. newStorage returns an empty
// one each time.
func RunStorage(t *testing.T, newStorage func(t *testing.T) Storage) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)

	t.Run("a grant is stored whole", func(t *testing.T) {
		s := newStorage(t)
		if _, err := s.Grant(t.Context(), 7); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a missing grant: %v", err)
		}
		want := credentials.Grant{
			AthleteID: 7, Provider: credentials.ProviderStrava, Generation: at.UnixMilli(), Scopes: []string{"activity:read", "read"},
			State: credentials.Revoked, TokenVersion: 3, Parked: []byte{0, 1, 255}, Unannounced: true, Lease: credentials.Lease{Owner: "me", Until: at},
			Receipt: "r", RevokedAt: at,
		}
		got, err := s.Update(t.Context(), 7, func(g *credentials.Grant) error {
			if g.AthleteID != 7 || g.State != "" {
				t.Errorf("a missing grant is given as %+v", *g)
			}
			*g = want
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error("returned:", d)
		}
		if got, err = s.Grant(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		slices.Sort(got.Scopes)
		if d := cmp.Diff(want, got); d != "" {
			t.Error("stored:", d)
		}
	})

	t.Run("an error of change writes nothing", func(t *testing.T) {
		s := newStorage(t)
		boom := errors.New("boom")
		_, err := s.Update(t.Context(), 7, func(g *credentials.Grant) error {
			g.State = credentials.Active
			return boom
		})
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if _, err := s.Grant(t.Context(), 7); !fault.Is(err, fault.NotFound) {
			t.Fatalf("something was written: %v", err)
		}
	})

	t.Run("no update is lost", func(t *testing.T) {
		s := newStorage(t)
		const writers = 8
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				_, err := s.Update(context.WithoutCancel(t.Context()), 7, func(g *credentials.Grant) error {
					g.Provider = credentials.ProviderStrava
					g.TokenVersion++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		g, err := s.Grant(t.Context(), 7)
		if err != nil || g.TokenVersion != writers {
			t.Fatalf("%d writes counted as %d (%v)", writers, g.TokenVersion, err)
		}
	})

	t.Run("grants are paged through by provider", func(t *testing.T) {
		s := newStorage(t)
		for id := int64(1); id <= 7; id++ {
			provider := credentials.ProviderStrava
			if id == 4 {
				provider = "other"
			}
			if _, err := s.Update(t.Context(), id, func(g *credentials.Grant) error {
				g.Provider, g.State = provider, credentials.Active
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		var got []int64
		for cursor := ""; ; {
			page, next, err := s.List(t.Context(), credentials.ProviderStrava, cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > 2 {
				t.Fatalf("a page of %d", len(page))
			}
			for _, g := range page {
				got = append(got, g.AthleteID)
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		slices.Sort(got)
		if want := []int64{1, 2, 3, 5, 6, 7}; !slices.Equal(got, want) {
			t.Fatalf("got %v", got)
		}
		if _, _, err := s.List(t.Context(), credentials.ProviderStrava, "§", 2); !fault.Is(err, fault.Invalid) {
			t.Errorf("a malformed cursor: %v", err)
		}
	})

	t.Run("a state is taken once", func(t *testing.T) {
		s := newStorage(t)
		if err := s.PutState(t.Context(), "k", "n", at); err != nil {
			t.Fatal(err)
		}
		nonce, expiresAt, err := s.TakeState(t.Context(), "k")
		if err != nil || nonce != "n" || expiresAt.Unix() != at.Unix() {
			t.Fatalf("%q %v %v", nonce, expiresAt, err)
		}
		if _, _, err := s.TakeState(t.Context(), "k"); !fault.Is(err, fault.NotFound) {
			t.Fatalf("the second time: %v", err)
		}
	})

	t.Run("an erasure is confirmed part by part", func(t *testing.T) {
		s := newStorage(t)
		if _, err := s.Confirm(t.Context(), "r", "a"); !fault.Is(err, fault.NotFound) {
			t.Fatalf("an unknown receipt: %v", err)
		}
		want := credentials.Erasure{Receipt: "r", RequestedAt: at, Pending: []string{"a", "b"}}
		if err := s.Open(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			got, err := s.Confirm(t.Context(), "r", "b")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(credentials.Erasure{Receipt: "r", RequestedAt: at, Pending: []string{"a"}}, got); d != "" {
				t.Fatal(d)
			}
			// Opening it again must not bring back what was confirmed.
			if err := s.Open(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Confirm(t.Context(), "r", "a")
		if err != nil || len(got.Pending) != 0 {
			t.Fatalf("%+v %v", got, err)
		}
		for _, now := range []time.Time{at, at.Add(time.Hour)} {
			completed, err := s.Complete(t.Context(), "r", now)
			if err != nil || !completed.Equal(at) {
				t.Fatalf("completed at %v (%v), want %v", completed, err, at)
			}
		}
	})
}

// RunVault checks an adapter of the vault. newVault returns an empty one each
// time.
func RunVault(t *testing.T, newVault func(t *testing.T) credentials.Vault) {
	pair := func(name string) credentials.TokenPair {
		return credentials.TokenPair{
			Access: secret.New("access-" + name), Refresh: secret.New("refresh-" + name),
			ExpiresAt: time.Unix(1_700_000_000, 0).UTC(),
		}
	}
	same := func(t *testing.T, got, want credentials.TokenPair) {
		t.Helper()
		if !got.Access.Equal(want.Access) || !got.Refresh.Equal(want.Refresh) || !got.ExpiresAt.Equal(want.ExpiresAt) {
			t.Fatalf("another pair came back (%s, %s)", got.Access.Reveal(), got.Refresh.Reveal())
		}
	}

	t.Run("the app is stored whole", func(t *testing.T) {
		v := newVault(t)
		if _, err := v.App(t.Context()); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a missing app: %v", err)
		}
		want := credentials.App{
			ClientID: "1", ClientSecret: secret.New("s"), VerifyToken: secret.New("v"),
			CallbackKey: secret.New("k"), SubscriptionID: 5,
		}
		for range 2 {
			if err := v.SaveApp(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		got, err := v.App(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.ClientID != "1" || !got.ClientSecret.Equal(want.ClientSecret) || !got.VerifyToken.Equal(want.VerifyToken) ||
			!got.CallbackKey.Equal(want.CallbackKey) || got.SubscriptionID != 5 {
			t.Fatal("another app came back")
		}
	})

	t.Run("a newer pair does not destroy an older one", func(t *testing.T) {
		v := newVault(t)
		first, err := v.SaveTokens(t.Context(), 7, pair("1"))
		if err != nil {
			t.Fatal(err)
		}
		second, err := v.SaveTokens(t.Context(), 7, pair("2"))
		if err != nil || second == first {
			t.Fatalf("versions %d and %d (%v)", first, second, err)
		}
		if _, err := v.SaveTokens(t.Context(), 8, pair("other")); err != nil {
			t.Fatal(err)
		}
		for version, want := range map[int64]credentials.TokenPair{first: pair("1"), second: pair("2")} {
			got, err := v.Tokens(t.Context(), 7, version)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
		}
		got, latest, err := v.Latest(t.Context(), 7)
		if err != nil || latest != second {
			t.Fatalf("the latest version is %d (%v)", latest, err)
		}
		same(t, got, pair("2"))
		if _, err := v.Tokens(t.Context(), 7, second+1); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a missing version: %v", err)
		}
	})

	t.Run("dropping destroys all versions", func(t *testing.T) {
		v := newVault(t)
		for _, name := range []string{"1", "2"} {
			if _, err := v.SaveTokens(t.Context(), 7, pair(name)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := v.DropTokens(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
		}
		for _, version := range []int64{1, 2} {
			if _, err := v.Tokens(t.Context(), 7, version); !fault.Is(err, fault.NotFound) {
				t.Fatalf("version %d is still there (%v)", version, err)
			}
		}
		if _, _, err := v.Latest(t.Context(), 7); !fault.Is(err, fault.NotFound) {
			t.Fatalf("the latest of none: %v", err)
		}
		version, err := v.SaveTokens(t.Context(), 7, pair("3"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Tokens(t.Context(), 7, version)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, pair("3"))
	})
}

// RunSealer checks an adapter of the sealer.
func RunSealer(t *testing.T, s credentials.Sealer) {
	pair := credentials.TokenPair{
		Access: secret.New("access-hunter2"), Refresh: secret.New("refresh-hunter2"), ExpiresAt: time.Unix(1_700_000_000, 0).UTC(),
	}
	seal, err := s.NewSeal(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal(pair)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Error("what is sealed can be read")
	}
	got, err := s.Open(t.Context(), 7, sealed)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Access.Equal(pair.Access) || !got.Refresh.Equal(pair.Refresh) || !got.ExpiresAt.Equal(pair.ExpiresAt) {
		t.Error("another pair came back")
	}
	if _, err := s.Open(t.Context(), 8, sealed); err == nil {
		t.Error("it was opened as another athlete's")
	}
	sealed[len(sealed)-2] ^= 1
	if _, err := s.Open(t.Context(), 7, sealed); err == nil {
		t.Error("it was opened after it was tampered with")
	}
}
