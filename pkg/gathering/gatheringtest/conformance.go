package gatheringtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Storage is everything that the gathering table stores.
type Storage interface {
	gathering.Athletes
	gathering.Pauses
	gathering.Webhooks
}

// RunStorage checks an adapter of the gathering table. newStorage returns an
// empty one each time.
func RunStorage(t *testing.T, newStorage func(t *testing.T) Storage) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

	t.Run("an athlete is stored whole", func(t *testing.T) {
		s := newStorage(t)
		if got, err := s.Athlete(t.Context(), 7); err != nil || got != (gathering.Athlete{ID: 7}) {
			t.Fatalf("a stranger: %+v %v", got, err)
		}
		for _, want := range []gathering.Athlete{
			{ID: 7, Generation: 5, State: gathering.Active, Scan: gathering.Scan{
				ID: "5", Before: at, NextPage: 3, Chunks: 8, Sequence: 4, State: "waiting", WaitingFor: "quota", ResumesAt: at.Add(time.Minute),
			}},
			{ID: 7, Generation: 5, State: gathering.Revoked, RevokedAt: at},
		} {
			if _, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) error { *a = want; return nil }); err != nil {
				t.Fatal(err)
			}
			got, err := s.Athlete(t.Context(), 7)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
	})

	t.Run("an error of change writes nothing", func(t *testing.T) {
		s := newStorage(t)
		boom := errors.New("boom")
		_, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) error { a.Generation = 1; return boom })
		if !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if got, err := s.Athlete(t.Context(), 7); err != nil || got.Generation != 0 {
			t.Fatalf("%+v %v", got, err)
		}
	})

	t.Run("no update is lost", func(t *testing.T) {
		s := newStorage(t)
		const writers = 8
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				_, err := s.Update(context.WithoutCancel(t.Context()), 7, func(a *gathering.Athlete) error { a.Generation++; return nil })
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if a, err := s.Athlete(t.Context(), 7); err != nil || a.Generation != writers {
			t.Fatalf("%d writes counted as %d (%v)", writers, a.Generation, err)
		}
	})

	t.Run("the longer pause stands", func(t *testing.T) {
		s := newStorage(t)
		if p, err := s.Pause(t.Context()); err != nil || !p.Until.IsZero() {
			t.Fatalf("%+v %v", p, err)
		}
		long := gathering.Pause{Until: at.Add(time.Hour), For: "quota"}
		for _, p := range []gathering.Pause{{Until: at, For: "strava"}, long, {Until: at.Add(time.Minute), For: "strava"}} {
			if err := s.SavePause(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := s.Pause(t.Context()); err != nil || !p.Until.Equal(long.Until) || p.For != long.For {
			t.Fatalf("%+v %v", p, err)
		}
	})

	t.Run("the newest webhook stands", func(t *testing.T) {
		s := newStorage(t)
		if _, err := s.Webhook(t.Context()); !fault.Is(err, fault.NotFound) {
			t.Fatalf("before it was configured: %v", err)
		}
		newest := gathering.Webhook{CallbackKeySHA256: "k", VerifyTokenSHA256: "v", SubscriptionID: 9, Version: 2}
		for _, w := range []gathering.Webhook{{Version: 1}, newest, {Version: 1}} {
			if err := s.SaveWebhook(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		if w, err := s.Webhook(t.Context()); err != nil || w != newest {
			t.Fatalf("%+v %v", w, err)
		}
	})
}
