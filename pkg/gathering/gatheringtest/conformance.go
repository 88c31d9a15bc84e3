package gatheringtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Storage is the gathering table without the budget.
type Storage interface {
	gathering.Athletes
	gathering.Inboxes
	gathering.JobQueue
	gathering.Webhooks
	gathering.Inventory
}

var errBoom = errors.New("boom")

// at is a time within the tests.
func at(minutes int) time.Time {
	return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// RunStorage checks an adapter of the gathering table. newStorage returns an
// empty one each time.
func RunStorage(t *testing.T, newStorage func(t *testing.T) Storage) {
	run := func(name string, test func(*testing.T, Storage)) {
		t.Run(name, func(t *testing.T) { test(t, newStorage(t)) })
	}

	run("an athlete is stored whole", func(t *testing.T, s Storage) {
		if got, err := s.Athlete(t.Context(), 7); err != nil || !cmp.Equal(got, gathering.Athlete{ID: 7}) {
			t.Fatalf("a stranger: %+v %v", got, err)
		}
		for _, want := range []gathering.Athlete{
			{
				ID: 7, Generation: 5, State: gathering.Active, JoinedAt: at(-99), ProfiledAt: at(0),
				Last:  gathering.CompletedScan{Started: at(-9), Finished: at(-8), Pages: 3, Activities: 450},
				Job:   gathering.Job{Class: quota.Backfill, Due: at(1), LeasedUntil: at(2), RetryAt: at(1), Failures: 3, FailingSince: at(-1)},
				Holes: []gathering.Hole{{Older: at(-70), Newer: at(-60), OlderID: 3, NewerID: 4}}, Doubts: 2, DoubtedAt: at(-3),
				Scan: gathering.Scan{
					ID: "5", Begun: at(0), First: true, Cutoff: at(500), Profiled: true,
					Windows: []gathering.Window{{From: at(-60), To: at(500)}, {To: at(-70)}, {From: at(-70), To: at(-60), Probe: true, Neighbours: [2]int64{3, 4}}},
					Offset:  400, Size: 100, Skipped: 1, LastID: 77, LastStart: at(-55), LargestSize: 100, EndReads: 1,
					Holes: []gathering.Hole{{Newer: at(-50), Listed: true}, {Older: at(-52)}},
					Pages: 2, Chunks: 8, Activities: 400, Oldest: at(-55), Confirmed: true,
					RecentPages: []gathering.PageRead{{At: at(0)}, {At: at(1), Offset: 200, Pages: 1, Chunks: 4, Activities: 200}},
					Sequence:    4, State: "waiting", WaitingFor: "rate_limit", ResumesAt: at(15),
				},
			},
			{ID: 7, Generation: 5, State: gathering.Active},
			{ID: 7, Generation: 5, State: gathering.Revoked, RevokedAt: at(0)},
		} {
			if _, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { *a = want; return true, nil }); err != nil {
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

	run("an inbox is stored whole", func(t *testing.T, s Storage) {
		want := gathering.Inbox{
			AthleteID: 7, Generation: 5, Job: gathering.Job{Class: quota.Webhook, Due: at(1), LeasedUntil: at(2), RetryAt: at(1), Failures: 3, FailingSince: at(-1)},
			Hints: []gathering.Hint{
				{Aspect: gathering.AspectCreate, ActivityID: 11, EventTime: 1_790_000_000, ReceivedAt: at(0), NotBefore: at(3), Attempts: 2, Failures: 4, FailingSince: at(-2), Unlisted: true},
				{Aspect: gathering.AspectDeauthorize, EventTime: 1_790_000_001, ReceivedAt: at(1)},
			},
			Overflowed: true, RefreshRequested: true, ListedAt: at(0), PacedAt: at(1),
			ListSize: 50, Scarce: true, FailedOn: 12, Question: gathering.Question{ScanID: "5", Seen: true, Gone: 2},
		}
		for _, want := range []gathering.Inbox{want, {AthleteID: 7, Generation: 5}} {
			if _, err := s.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { *m = want; return true, nil }); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, inbox(t, s, 7)); d != "" {
				t.Error(d)
			}
		}
	})

	run("an error of change writes nothing", func(t *testing.T, s Storage) {
		_, err := s.Update(t.Context(), 7, func(a *gathering.Athlete) (bool, error) { a.Generation = 1; return true, errBoom })
		if !errors.Is(err, errBoom) {
			t.Fatal(err)
		}
		if got, err := s.Athlete(t.Context(), 7); err != nil || got.Generation != 0 {
			t.Fatalf("%+v %v", got, err)
		}
		_, err = s.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { m.Generation = 1; return true, errBoom })
		if !errors.Is(err, errBoom) {
			t.Fatal(err)
		}
		if m := inbox(t, s, 7); m.Generation != 0 {
			t.Fatalf("%+v", m)
		}
		_, err = s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.Version = 1; return true, errBoom })
		if !errors.Is(err, errBoom) {
			t.Fatal(err)
		}
		if w, err := s.Webhook(t.Context()); err != nil || w.Version != 0 {
			t.Fatalf("%+v %v", w, err)
		}
	})

	run("no update is lost", func(t *testing.T, s Storage) {
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
	})

	run("an event is delivered once, and only to a known athlete", func(t *testing.T, s Storage) {
		hint := gathering.Hint{Aspect: gathering.AspectUpdate, ActivityID: 11, EventTime: 1, ReceivedAt: at(1)}
		deliver := func(athleteID int64, digest string, want gathering.Delivery) {
			t.Helper()
			if got, err := s.Deliver(t.Context(), athleteID, digest, hint); err != nil || got != want {
				t.Errorf("%s to %d: %q %v, want %q", digest, athleteID, got, err, want)
			}
		}
		deliver(7, "a", gathering.Unknown)
		open(t, s, 7, 5)
		open(t, s, 8, 5)
		deliver(7, "a", gathering.Delivered)
		deliver(7, "a", gathering.Duplicate)
		deliver(7, "b", gathering.Delivered)
		deliver(8, "a", gathering.Delivered)
		m := inbox(t, s, 7)
		if d := cmp.Diff([]gathering.Hint{hint, hint}, m.Hints); d != "" {
			t.Error(d)
		}
		if m.Job.Class != quota.Webhook || !m.Job.Due.Equal(at(1)) {
			t.Errorf("job %+v", m.Job)
		}
		// Also after the hints are dealt with.
		change(t, s, 7, func(m *gathering.Inbox) { m.Hints, m.Job = nil, gathering.Job{} })
		deliver(7, "a", gathering.Duplicate)
		// Only what was asked to be dropped is.
		if err := s.DropInbox(t.Context(), 7, 4); err != nil {
			t.Fatal(err)
		}
		deliver(7, "a", gathering.Duplicate)
		if err := s.DropInbox(t.Context(), 7, 5); err != nil {
			t.Fatal(err)
		}
		deliver(7, "a", gathering.Unknown)
		open(t, s, 7, 6)
		deliver(7, "a", gathering.Delivered)
		deliver(8, "a", gathering.Duplicate)
		if err := s.DropInbox(t.Context(), 9, 5); err != nil {
			t.Errorf("where there is none: %v", err)
		}
	})

	run("a hint makes the job due and leaves the lease alone", func(t *testing.T, s Storage) {
		open(t, s, 7, 5)
		change(t, s, 7, func(m *gathering.Inbox) {
			m.Job = gathering.Job{Class: quota.Webhook, Due: at(30), LeasedUntil: at(2), Failures: 1}
		})
		for _, tc := range []struct {
			aspect string
			want   quota.Class
		}{{gathering.AspectUpdate, quota.Webhook}, {gathering.AspectDeauthorize, quota.Leave}, {gathering.AspectUpdate, quota.Leave}} {
			h := gathering.Hint{Aspect: tc.aspect, ReceivedAt: at(1)}
			if d, err := s.Deliver(t.Context(), 7, tc.aspect+string(tc.want), h); err != nil || d != gathering.Delivered {
				t.Fatal(d, err)
			}
			want := gathering.Job{Class: tc.want, Due: at(1), LeasedUntil: at(2), Failures: 1}
			if d := cmp.Diff(want, inbox(t, s, 7).Job); d != "" {
				t.Errorf("%s: %s", tc.aspect, d)
			}
		}
		if refs := due(t, s, quota.Leave, at(1), nil, 9); len(refs) != 1 {
			t.Errorf("due %+v", refs)
		}
	})

	run("a full inbox overflows", func(t *testing.T, s Storage) {
		open(t, s, 7, 5)
		many := make([]gathering.Hint, gathering.MaxHints-1)
		for i := range many {
			many[i] = gathering.Hint{Aspect: gathering.AspectDelete, ActivityID: int64(i + 1), ReceivedAt: at(0)}
		}
		change(t, s, 7, func(m *gathering.Inbox) { m.Hints = many })
		for i := range 3 {
			d, err := s.Deliver(t.Context(), 7, fmt.Sprint(i), gathering.Hint{Aspect: gathering.AspectDelete, ActivityID: 1000, ReceivedAt: at(1)})
			if err != nil || d != gathering.Delivered {
				t.Fatal(d, err)
			}
			if m := inbox(t, s, 7); len(m.Hints) != gathering.MaxHints || m.Overflowed != (i > 0) {
				t.Errorf("after %d more: %d hints, flooded %v", i+1, len(m.Hints), m.Overflowed)
			}
		}
		d, err := s.Deliver(t.Context(), 7, "2", gathering.Hint{Aspect: gathering.AspectDelete, ActivityID: 1000, ReceivedAt: at(1)})
		if err != nil || d != gathering.Duplicate {
			t.Errorf("again: %s %v", d, err)
		}
	})

	run("jobs are listed by class, the longest due first", func(t *testing.T, s Storage) {
		add := func(id int64, class quota.Class, minutes, leased int) {
			t.Helper()
			_, err := s.Update(t.Context(), id, func(a *gathering.Athlete) (bool, error) {
				a.Generation, a.State, a.Job = 1, gathering.Active, gathering.Job{Class: class, Due: at(minutes)}
				if leased > 0 {
					a.Job.LeasedUntil = at(leased)
				}
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		add(1, quota.Backfill, 3, 0)
		add(2, quota.Backfill, 1, 0)
		add(3, quota.Backfill, 2, 7) // Leased: it is due when the lease ends.
		add(4, quota.Backfill, 9, 0) // Later.
		add(5, quota.Spare, 0, 0)
		add(6, quota.Backfill, 0, 0)
		add(6, "", 0, 0) // Done.
		open(t, s, 1, 1)
		change(t, s, 1, func(m *gathering.Inbox) { m.Job = gathering.Job{Class: quota.Backfill, Due: at(2)} })

		scan := func(id int64, minutes int) gathering.JobRef {
			return gathering.JobRef{AthleteID: id, Kind: gathering.JobScan, Class: quota.Backfill, Due: at(minutes)}
		}
		want := []gathering.JobRef{
			scan(2, 1), {AthleteID: 1, Kind: gathering.JobInbox, Class: quota.Backfill, Due: at(2)}, scan(1, 3), scan(3, 7),
		}
		got := due(t, s, quota.Backfill, at(8), nil, 9)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(want[:2], due(t, s, quota.Backfill, at(2), nil, 9)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(want[1:3], due(t, s, quota.Backfill, at(8), &want[0], 2)); d != "" {
			t.Error(d)
		}
		if got := due(t, s, quota.Webhook, at(8), nil, 9); len(got) != 0 {
			t.Errorf("of another class: %+v", got)
		}
		for class, want := range map[quota.Class]gathering.Waiting{
			quota.Backfill: {Count: 4, Oldest: at(1)}, quota.Spare: {Count: 1, Oldest: at(0)}, quota.Leave: {},
		} {
			if got, err := s.Waiting(t.Context(), class, at(8)); err != nil || !cmp.Equal(got, want) {
				t.Errorf("%s: %+v %v", class, got, err)
			}
		}
	})

	run("jobs that are due at the same time are listed page by page", func(t *testing.T, s Storage) {
		for id := range int64(25) {
			_, err := s.Update(t.Context(), id+1, func(a *gathering.Athlete) (bool, error) {
				a.Generation, a.State, a.Job = 1, gathering.Active, gathering.Job{Class: quota.Spare, Due: at(1)}
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var ids []int64
		var last *gathering.JobRef
		for range 10 {
			refs := due(t, s, quota.Spare, at(1), last, 10)
			for _, p := range refs {
				ids = append(ids, p.AthleteID)
				last = &p
			}
			if len(refs) < 10 {
				break
			}
		}
		slices.Sort(ids)
		if len(ids) != 25 || len(slices.Compact(ids)) != 25 {
			t.Errorf("%v", ids)
		}
	})

	run("events are counted by UTC day", func(t *testing.T, s Storage) {
		midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
		east, west := time.FixedZone("", 9*60*60), time.FixedZone("", -9*60*60)
		events := []time.Time{midnight.Add(-1).In(east), midnight, midnight.In(west), midnight.Add(24*time.Hour - 1).In(east)}
		ctx := context.WithoutCancel(t.Context())
		var wg sync.WaitGroup
		for _, at := range events {
			wg.Go(func() {
				if err := s.CountWebhookEvent(ctx, at); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for day, want := range map[time.Time]int{
			midnight.Add(-24 * time.Hour): 1, midnight.Add(-1): 1, midnight: 3, midnight.Add(8 * time.Hour).In(west): 3, midnight.Add(24 * time.Hour): 0,
		} {
			if n, err := s.WebhookEvents(t.Context(), day); err != nil || n != want {
				t.Errorf("%s: %d events, %v, want %d", day, n, err, want)
			}
		}
		if w, err := s.Webhook(t.Context()); err != nil || w != (gathering.Webhook{}) {
			t.Errorf("the webhook is %+v, %v", w, err)
		}
	})

	run("everything that is kept of athletes is gone through", func(t *testing.T, s Storage) {
		want := taken{athletes: map[int64]gathering.Athlete{}, inboxes: map[int64]gathering.Inbox{}}
		hint := func(id int64) gathering.Hint {
			return gathering.Hint{Aspect: gathering.AspectCreate, ActivityID: id, EventTime: 1, ReceivedAt: at(int(id))}
		}
		for id := range int64(40) {
			a := gathering.Athlete{ID: id + 1, Generation: 5, State: gathering.Active, JoinedAt: at(-99), ProfiledAt: at(1)}
			if id == 0 {
				a = gathering.Athlete{ID: 1, Generation: 5, State: gathering.Revoked, RevokedAt: at(0)}
			}
			if _, err := s.Update(t.Context(), a.ID, func(stored *gathering.Athlete) (bool, error) { *stored = a; return true, nil }); err != nil {
				t.Fatal(err)
			}
			want.athletes[a.ID] = a
		}
		for _, id := range []int64{2, 3} {
			open(t, s, id, 5)
			if d, err := s.Deliver(t.Context(), id, "a", hint(id)); err != nil || d != gathering.Delivered {
				t.Fatal(d, err)
			}
			want.inboxes[id] = inbox(t, s, id)
			want.events = append(want.events, at(int(id)))
		}
		// None of athletes.
		_, err := s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.Version = 1; return true, nil })
		if err := errors.Join(err, s.CountWebhookEvent(t.Context(), at(0))); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, inventory(t, s, func(int64) {}), cmp.AllowUnexported(taken{})); d != "" {
			t.Error(d)
		}
		// What is given may be changed at once.
		inventory(t, s, func(id int64) {
			if _, err := s.Update(t.Context(), id, func(a *gathering.Athlete) (bool, error) { a.JoinedAt = time.Time{}; return true, nil }); err != nil {
				t.Error(err)
			}
		})
		for _, a := range inventory(t, s, func(int64) {}).athletes {
			if !a.JoinedAt.IsZero() {
				t.Errorf("not changed: %+v", a)
			}
		}
	})

	run("the webhook is stored whole", func(t *testing.T, s Storage) {
		if w, err := s.Webhook(t.Context()); err != nil || w != (gathering.Webhook{}) {
			t.Fatalf("before it was configured: %+v %v", w, err)
		}
		for _, want := range []gathering.Webhook{
			{CallbackKeySHA256: "k", VerifyTokenSHA256: "v", Version: 1},
			{
				CallbackKeySHA256: "k", VerifyTokenSHA256: "v", SubscriptionID: 9, Version: 2, LastSeen: at(1),
				Callback:     gathering.Health{WellAt: at(2), FailingSince: at(3), Failure: "the callback answered with status 503"},
				Subscription: gathering.Health{WellAt: at(4), FailingSince: at(5), Failure: "missing"}, AskedAt: at(6),
				Gap: gathering.Gap{From: at(0), To: at(1), Planned: true},
			},
		} {
			if _, err := s.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { *w = want; return true, nil }); err != nil {
				t.Fatal(err)
			}
			if w, err := s.Webhook(t.Context()); err != nil || w != want {
				t.Fatalf("%+v %v", w, err)
			}
		}
	})
}

// taken is what an inventory visited.
type taken struct {
	athletes map[int64]gathering.Athlete
	inboxes  map[int64]gathering.Inbox
	events   []time.Time
}

// inventory goes through everything; each is called for every athlete.
func inventory(t *testing.T, s Storage, each func(id int64)) taken {
	t.Helper()
	got := taken{athletes: map[int64]gathering.Athlete{}, inboxes: map[int64]gathering.Inbox{}}
	err := s.Each(t.Context(), func(a gathering.Athlete) {
		if _, twice := got.athletes[a.ID]; twice {
			t.Errorf("athlete %d came twice", a.ID)
		}
		got.athletes[a.ID] = a
		each(a.ID)
	}, func(m gathering.Inbox) {
		got.inboxes[m.AthleteID] = m
	}, func(receivedAt time.Time) {
		got.events = append(got.events, receivedAt)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got.events, time.Time.Compare)
	return got
}

func open(t *testing.T, s Storage, athleteID, generation int64) {
	t.Helper()
	change(t, s, athleteID, func(m *gathering.Inbox) { m.Generation = generation })
}

func change(t *testing.T, s Storage, athleteID int64, change func(*gathering.Inbox)) {
	t.Helper()
	if _, err := s.UpdateInbox(t.Context(), athleteID, func(m *gathering.Inbox) (bool, error) { change(m); return true, nil }); err != nil {
		t.Fatal(err)
	}
}

func inbox(t *testing.T, s Storage, athleteID int64) gathering.Inbox {
	t.Helper()
	m, err := s.UpdateInbox(t.Context(), athleteID, func(*gathering.Inbox) (bool, error) { return false, nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func due(t *testing.T, s Storage, class quota.Class, until time.Time, after *gathering.JobRef, limit int) []gathering.JobRef {
	t.Helper()
	refs, err := s.Due(t.Context(), class, until, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return refs
}
