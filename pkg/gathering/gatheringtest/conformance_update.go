package gatheringtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// wholeAthletes have, together, a value in every field.
func wholeAthletes() []gathering.Athlete {
	return []gathering.Athlete{
		{
			ID: 7, Generation: 5, State: gathering.Active, JoinedAt: at(-99), ProfileReadAt: at(0),
			Last:  gathering.CompletedScan{Started: at(-9), Finished: at(-8), Pages: 3, Activities: 450},
			Job:   gathering.Job{Class: quota.Backfill, Due: at(1), LeasedUntil: at(2), LeaseOwner: "o", RetryAt: at(1), Failures: 3, FailingSince: at(-1)},
			Holes: []gathering.Hole{{Older: at(-70), Newer: at(-60), OlderID: 3, NewerID: 4}}, WrongScans: 2, WrongScanAt: at(-3),
			Scan: gathering.Scan{
				ID: "5", StartedAt: at(0), First: true, Cutoff: at(500), ProfileDone: true,
				Stretches: []gathering.Stretch{{From: at(-60), To: at(500)}, {To: at(-70)}, {From: at(-70), To: at(-60), Probe: true, Neighbours: [2]int64{3, 4}}},
				Offset:    400, Size: 100, Skipped: 1, Unread: true, LastID: 77, LastStart: at(-55), LargestSize: 100, EndReads: 1,
				Holes: []gathering.Hole{{Newer: at(-50), Listed: true}, {Older: at(-52)}},
				Pages: 2, Chunks: 8, Activities: 400, Oldest: at(-55), Confirmed: true,
				RecentPages: []gathering.PageRead{{At: at(0)}, {At: at(1), Offset: 200, Pages: 1, Chunks: 4, Activities: 200}},
				Sequence:    4, State: "waiting", WaitingFor: "rate_limit", ResumesAt: at(15),
			},
		},
		{ID: 7, Generation: 5, State: gathering.Active},
		{ID: 7, Generation: 5, State: gathering.Revoked, RevokedAt: at(0)},
	}
}

func athleteIsStoredWhole(t *testing.T, s Storage) {
	if got, err := s.Athlete(t.Context(), 7); err != nil || !cmp.Equal(got, gathering.Athlete{ID: 7}) {
		t.Fatalf("an athlete that is not stored: %+v, error %v", got, err)
	}
	for i, want := range wholeAthletes() {
		if _, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { *a = wholeAthletes()[i]; return true, nil }); err != nil {
			t.Fatal(err)
		}
		read, err := s.Athlete(t.Context(), 7)
		kittest.Must(t, err)
		kittest.Scrub(&read)
		_, err = s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { kittest.Scrub(a); return false, nil })
		kittest.Must(t, err)
		got, err := s.Athlete(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

func wholeInboxes() []gathering.Inbox {
	whole := gathering.Inbox{
		AthleteID: 7, Generation: 5, Job: gathering.Job{Class: quota.Webhook, Due: at(1), LeasedUntil: at(2), LeaseOwner: "o", RetryAt: at(1), Failures: 3, FailingSince: at(-1)},
		Hints: []gathering.Hint{
			{Aspect: gathering.AspectCreate, ActivityID: 11, EventTime: 1_790_000_000, ReceivedAt: at(0), NotBefore: at(3), Attempts: 2, Failures: 4, FailingSince: at(-2), Unlisted: true},
			{Aspect: gathering.AspectDeauthorize, EventTime: 1_790_000_001, ReceivedAt: at(1)},
		},
		Overflowed: true, GatherRequested: true, ListedAt: at(0), PacedAt: at(1),
		ListSize: 50, Scarce: true, FailedOn: 12, Question: gathering.Question{ScanID: "5", Seen: true, Gone: 2},
	}
	return []gathering.Inbox{whole, {AthleteID: 7, Generation: 5}}
}

func inboxIsStoredWhole(t *testing.T, s Storage) {
	for i, want := range wholeInboxes() {
		if _, err := s.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { *m = wholeInboxes()[i]; return true, nil }); err != nil {
			t.Fatal(err)
		}
		_, err := s.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { kittest.Scrub(m); return false, nil })
		kittest.Must(t, err)
		if d := cmp.Diff(want, inbox(t, s, 7)); d != "" {
			t.Error(d)
		}
	}
}

func errorOfChangeWritesNothing(t *testing.T, s Storage) {
	_, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { a.Generation = 1; return true, errBoom })
	if !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	if got, err := s.Athlete(t.Context(), 7); err != nil || got.Generation != 0 {
		t.Fatalf("got %+v, error %v", got, err)
	}
	_, err = s.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { m.Generation = 1; return true, errBoom })
	if !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	if m := inbox(t, s, 7); m.Generation != 0 {
		t.Fatalf("inbox %+v", m)
	}
	_, err = s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.Version = 1; return true, errBoom })
	if !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	if w, err := s.Webhook(t.Context()); err != nil || w.Version != 0 {
		t.Fatalf("webhook %+v, error %v", w, err)
	}
}

// unchangedItemIsNotWritten: what change did to its copy has no effect either.
func unchangedItemIsNotWritten(t *testing.T, s Storage) {
	a, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { return false, nil })
	if err != nil || !cmp.Equal(a, gathering.Athlete{ID: 7}) {
		t.Errorf("athlete %+v, error %v", a, err)
	}
	for _, changed := range []bool{true, false} {
		_, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { a.Generation++; return changed, nil })
		_, err2 := s.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { m.Generation++; return changed, nil })
		_, err3 := s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.Version++; return changed, nil })
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := s.Athlete(t.Context(), 7); err != nil || a.Generation != 1 {
		t.Errorf("athlete %+v, error %v", a, err)
	}
	if m := inbox(t, s, 7); m.Generation != 1 {
		t.Errorf("inbox %+v", m)
	}
	if w, err := s.Webhook(t.Context()); err != nil || w.Version != 1 {
		t.Errorf("webhook %+v, error %v", w, err)
	}
}

func noUpdateIsLost(t *testing.T, s Storage) {
	const writers = 8
	ctx := context.WithoutCancel(t.Context())
	open(t, s, 7, 1)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, err := s.Update(ctx, 7, func(a *gathering.Athlete) (bool, error) { a.Generation++; return true, nil })
			_, err2 := s.UpdateInbox(ctx, 7, func(m *gathering.Inbox) (bool, error) { m.Job.Failures++; return true, nil })
			_, err3 := s.Deliver(ctx, 7, fmt.Sprint(i), gathering.Hint{Aspect: gathering.AspectCreate, ActivityID: int64(i), ReceivedAt: at(0)})
			if err := errors.Join(err, err2, err3); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a, err := s.Athlete(t.Context(), 7); err != nil || a.Generation != writers {
		t.Errorf("%d writes counted as %d (%v)", writers, a.Generation, err)
	}
	if m := inbox(t, s, 7); m.Job.Failures != writers || len(m.Hints) != writers {
		t.Errorf("%d writes counted as %d, %d hints", writers, m.Job.Failures, len(m.Hints))
	}
}

func changeRunsAgain(t *testing.T, s Storage) {
	kittest.RunCrossing(t, func(change func(*gathering.Athlete) (bool, error)) error {
		_, err := s.Update(t.Context(), 7, change)
		return err
	}, func(a *gathering.Athlete) { a.Generation++ }, func(a gathering.Athlete) int { return int(a.Generation) })
	kittest.RunCrossing(t, func(change func(*gathering.Inbox) (bool, error)) error {
		_, err := s.UpdateInbox(t.Context(), 7, change)
		return err
	}, func(m *gathering.Inbox) { m.Generation++ }, func(m gathering.Inbox) int { return int(m.Generation) })
	kittest.RunCrossing(t, func(change func(*gathering.Webhook) (bool, error)) error {
		_, err := s.UpdateWebhook(t.Context(), change)
		return err
	}, func(w *gathering.Webhook) { w.Version++ }, func(w gathering.Webhook) int { return int(w.Version) })
}

// deliveredBetween: a hint that arrives between an inbox's read and its write
// stays.
func deliveredBetween(t *testing.T, s Storage) {
	open(t, s, 7, 1)
	runs := 0
	change(t, s, 7, func(m *gathering.Inbox) {
		if runs++; runs == 1 {
			_, err := s.Deliver(t.Context(), 7, "digest", gathering.Hint{Aspect: gathering.AspectCreate, ActivityID: 11, ReceivedAt: at(0)})
			kittest.Must(t, err)
		}
		m.FailedOn = 12
	})
	if m := inbox(t, s, 7); len(m.Hints) != 1 || m.FailedOn != 12 || runs != 2 {
		t.Errorf("after %d runs the inbox is %+v", runs, m)
	}
}
