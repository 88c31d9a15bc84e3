package credentialstest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/secret"
)

var errLost = fault.New(fault.Transient, "lost")

// faulty is an around that refuses, loses or makes the calls.
type faulty struct{ refuse, lose, stale bool }

func (f *faulty) around(ctx context.Context, op string, call func(context.Context) error) error {
	switch {
	case f.stale && slices.Contains(credentialstest.StaleReads, op):
		return kittest.ErrStale
	case f.refuse:
		return errLost
	case f.lose:
		_ = call(ctx)
		return errLost
	}
	return call(ctx)
}

func TestIndexReadsMayBeStale(t *testing.T) {
	ports, _ := credentialstest.NewPorts(time.Now)
	f := &faulty{stale: true}
	p := credentialstest.Intercept(ports, f.around)
	want := func(want int) {
		t.Helper()
		pending, err := p.Grants.Pending(t.Context(), credentials.ProviderStrava)
		page, _, err2 := p.Grants.List(t.Context(), credentials.ProviderStrava, "", 9)
		n, err3 := p.Counter.CountAuthorized(t.Context(), credentials.ProviderStrava)
		if err := errors.Join(err, err2, err3); err != nil || len(pending) != want || len(page) != want || n != want {
			t.Errorf("%d pending, %d listed, %d counted, want %d (%v)", len(pending), len(page), n, want, err)
		}
	}
	connect := func(id int64) {
		_, err := p.Grants.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
			g.State, g.Unpublished, g.Tokens = credentials.Active, true, credentials.TokenRef{Generation: 1, Version: 1}
			return true, nil
		})
		kittest.Must(t, err)
	}
	connect(1)
	want(0)
	f.stale = false
	want(1)
	connect(2)
	f.stale = true
	want(1)
	f.stale = false
	want(2)
}

func TestDeletedTokensMayBeReadForHalfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ports, _ := credentialstest.NewPorts(time.Now)
		f := &faulty{stale: true}
		vault := credentialstest.Intercept(ports, f.around).Vault
		account := credentials.Athlete(7)
		want := func(version int64) {
			t.Helper()
			pair, err := vault.Tokens(t.Context(), account, 1, 2)
			latest, got, err2 := vault.Latest(t.Context(), account, 1)
			if version == 0 {
				if !fault.Is(err, fault.NotFound) || !fault.Is(err2, fault.NotFound) {
					t.Errorf("got version %d; %v, %v", got, err, err2)
				}
				return
			}
			if err := errors.Join(err, err2); err != nil || got != version || pair.Access.Reveal() != "2" || latest != pair {
				t.Errorf("got version %d, want %d (%v)", got, version, err)
			}
		}
		want(0)
		for _, token := range []string{"1", "2"} {
			_, err := vault.SaveTokens(t.Context(), account, 1, credentials.TokenPair{Access: secret.New(token)})
			kittest.Must(t, err)
		}
		want(2)
		kittest.Must(t, vault.DeleteTokens(t.Context(), account, 1))
		want(2)
		f.stale = false
		want(0)
		f.stale = true
		time.Sleep(30*time.Second - 1)
		want(2)
		time.Sleep(time.Nanosecond)
		want(0)
	})
}

// provider accepts everything.
type provider struct {
	credentials.OAuth
	credentials.API
}

func (provider) Refresh(context.Context, credentials.App, secret.String) (credentials.TokenPair, error) {
	return credentials.TokenPair{}, nil
}

func (provider) Get(context.Context, secret.String, string, map[string]string) (credentials.APIResponse, error) {
	return credentials.APIResponse{Sent: true}, nil
}

func TestProvidersWhoseAnswersAreLostMayHaveActed(t *testing.T) {
	for _, lose := range []bool{false, true} {
		f := &faulty{refuse: !lose, lose: lose}
		p := credentialstest.Intercept(credentials.Ports{OAuth: provider{}, API: provider{}}, f.around)
		_, err := p.OAuth.Refresh(t.Context(), credentials.App{}, secret.String{})
		if !fault.Is(err, fault.Transient) || errors.Is(err, credentials.ErrAnswerLost) != lose {
			t.Errorf("lost %v: a refresh fails with %v", lose, err)
		}
		answer, err := p.API.Get(t.Context(), secret.String{}, "", nil)
		if !fault.Is(err, fault.Transient) || answer.Sent != lose {
			t.Errorf("lost %v: a call fails with %v, sent %v", lose, err, answer.Sent)
		}
	}
}

func TestDeletionsStopBetweenParts(t *testing.T) {
	for op, tc := range map[string]struct {
		parts int
		start func(credentials.Ports, *credentialstest.Memory) (do func() error, left func() int)
	}{
		"credentials.CredentialStore.Delete": {3, func(p credentials.Ports, _ *credentialstest.Memory) (func() error, func() int) {
			var all []credentials.Credential
			for n := range 3 {
				all = append(all, credentials.Credential{Authorization: credentials.Authorization{AthleteID: 7, Generation: 1}, Hash: fmt.Sprint(n)})
				kittest.Must(t, p.CredentialStore.Put(t.Context(), all[n]))
			}
			return func() error { return p.CredentialStore.Delete(t.Context(), all) }, func() int {
				left, err := p.CredentialStore.Credentials(t.Context(), 7)
				kittest.Must(t, err)
				return len(left)
			}
		}},
		"credentials.Parameters.Clear": {8, func(p credentials.Ports, m *credentialstest.Memory) (func() error, func() int) {
			kittest.Must(t, p.Vault.SaveApp(t.Context(), "strava", credentials.App{}))
			for n := range int64(30) {
				_, err := p.Vault.SaveTokens(t.Context(), credentials.Athlete(7), n, credentials.TokenPair{})
				kittest.Must(t, err)
				kittest.Must(t, p.Vault.SavePendingConnect(t.Context(), credentials.PendingConnect{Account: credentials.Athlete(7), ID: fmt.Sprint(n)}))
			}
			return func() error { _, err := p.Parameters.Clear(t.Context()); return err },
				func() int { return len(m.Vault.Generations(credentials.Athlete(7))) }
		}},
		"credentials.WaitlistStore.Clear": {4, func(p credentials.Ports, _ *credentialstest.Memory) (func() error, func() int) {
			for n := range 60 {
				kittest.Must(t, p.WaitlistStore.Add(t.Context(), credentials.WaitlistEntry{Contact: fmt.Sprint(n)}, time.Now().Add(time.Hour)))
			}
			return func() error { _, err := p.WaitlistStore.Clear(t.Context()); return err }, func() int {
				left, err := p.WaitlistStore.Entries(t.Context(), time.Now())
				kittest.Must(t, err)
				return len(left)
			}
		}},
	} {
		if !slices.Contains(credentialstest.InParts, op) {
			t.Errorf("%s is not listed", op)
		}
		kittest.RunParts(t, op, tc.parts, func(around kittest.Around) (func() error, func() int) {
			ports, m := credentialstest.NewPorts(time.Now)
			return tc.start(credentialstest.Intercept(ports, around), m)
		})
	}
}
