package gatheringtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

var at = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func TestListsOfJobsMayBeStale(t *testing.T) {
	stale := true
	p := gatheringtest.Intercept(gatheringtest.NewMemory().Ports(time.Now), func(ctx context.Context, op string, call func(context.Context) error) error {
		if stale && slices.Contains(gatheringtest.StaleReads, op) {
			return kittest.ErrStale
		}
		return call(ctx)
	})
	schedule := func(id int64, due time.Time) {
		_, err := p.Athletes.Update(t.Context(), id, func(a *gathering.Athlete) (bool, error) {
			a.Job = gathering.Job{Class: quota.Backfill, Due: due}
			return true, nil
		})
		kittest.Must(t, err)
	}
	want := func(now time.Time, waiting int, ids ...int64) {
		t.Helper()
		refs, err := p.Jobs.Due(t.Context(), quota.Backfill, now, nil, 9)
		w, err2 := p.Jobs.Waiting(t.Context(), quota.Backfill, now)
		var got []int64
		for _, r := range refs {
			got = append(got, r.AthleteID)
		}
		if err := errors.Join(err, err2); err != nil || !slices.Equal(got, ids) || w.Count != waiting {
			t.Errorf("%v are due, %d wait; want %v, %d (%v)", got, w.Count, ids, waiting, err)
		}
	}
	schedule(1, at)
	schedule(2, at.Add(time.Minute))
	want(at, 0)
	stale = false
	want(at.Add(time.Minute), 2, 1, 2)
	schedule(1, at.Add(time.Hour))
	stale = true
	want(at.Add(2*time.Hour), 2, 1, 2)
	// By a clock that is behind, the second is not due.
	want(at, 2, 1)
	stale = false
	want(at.Add(time.Minute), 1, 2)
}

// oneAthlete is known to Strava.
type oneAthlete struct{ gathering.Strava }

func (oneAthlete) Activities(context.Context, gathering.Authorization, gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	return gathering.Page{}, gathering.Reading{At: at, Answer: quota.Answer{Calls: 1}}, gathering.ErrDegraded
}

func TestCallsToStravaWithoutAnAnswerAreUncertain(t *testing.T) {
	ports := gatheringtest.NewMemory().Ports(func() time.Time { return at })
	ports.Strava = oneAthlete{}
	errLost := errors.New("lost")
	for name, tc := range map[string]struct {
		around  kittest.Around
		err     error
		outcome quota.Outcome
		calls   int
	}{
		"answered": {kittest.PassThrough, gathering.ErrDegraded, quota.Answered, 1},
		"refused": {
			func(context.Context, string, func(context.Context) error) error { return errLost }, errLost, quota.Unknown, quota.CallsUncertain,
		},
		"lost": {func(ctx context.Context, _ string, call func(context.Context) error) error {
			_ = call(ctx)
			return errLost
		}, errLost, quota.Unknown, quota.CallsUncertain},
	} {
		_, r, err := gatheringtest.Intercept(ports, tc.around).Strava.Activities(t.Context(), gathering.Authorization{}, gathering.PageRequest{})
		if !errors.Is(err, tc.err) || !r.At.Equal(at) || r.Answer.Outcome != tc.outcome || r.Answer.Calls != tc.calls {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestDroppingAnInboxStopsBetweenParts(t *testing.T) {
	for _, op := range gatheringtest.InParts {
		kittest.RunParts(t, op, 4, func(around kittest.Around) (func() error, func() int) {
			m := gatheringtest.NewMemory()
			p := gatheringtest.Intercept(m.Ports(time.Now), around)
			_, err := p.Inboxes.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { m.Generation = 1; return true, nil })
			kittest.Must(t, err)
			for n := range 60 {
				_, err := p.Inboxes.Deliver(t.Context(), 7, fmt.Sprint(n), gathering.Hint{Aspect: gathering.AspectCreate, ReceivedAt: at})
				kittest.Must(t, err)
			}
			return func() error {
					return p.Inboxes.DropInbox(t.Context(), gathering.Authorization{AthleteID: 7, Generation: 1})
				},
				func() int { return m.Store.Held(7) }
		})
	}
}
