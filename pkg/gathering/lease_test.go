package gathering_test

import (
	"context"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// staleQueue lists jobs as they were before, as an index may.
type staleQueue struct {
	gathering.JobQueue
	refs []gathering.JobRef
}

func (q staleQueue) Due(_ context.Context, class quota.Class, _ time.Time, _ *gathering.JobRef, _ int) (refs []gathering.JobRef, _ error) {
	for _, r := range q.refs {
		if r.Class == class {
			refs = append(refs, r)
		}
	}
	return refs, nil
}

// whileReading calls act during each reading of a profile.
type whileReading struct {
	gathering.Strava
	act func()
}

func (s whileReading) Athlete(ctx context.Context, by gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	s.act()
	return s.Strava.Athlete(ctx, by)
}

// A call of the requester and the writes after it take 80 s at most. Another
// gatherer leaves the job alone meanwhile, though its list is an old one.
func TestALeaseOutlastsACallAndAnOldList(t *testing.T) {
	w := newWorld(t, plenty, histories(5)...)
	id := w.athlete(0)
	w.begin(id)
	refs, err := w.gatherer.Jobs.Due(t.Context(), quota.Interactive, w.clock.Now(), nil, 10)
	kittest.Must(t, err)
	if len(refs) != 1 {
		t.Fatalf("%d jobs are due", len(refs))
	}
	other, first := w.ports.Gatherer(), *w.gatherer
	other.Publisher, other.Jobs = w.planes, staleQueue{other.Jobs, refs}
	calls, before := 0, w.strava.Counters().Total("", id)
	first.Strava = whileReading{first.Strava, func() {
		calls++
		w.clock.Advance(80 * time.Second)
		worked, err := other.Step(t.Context())
		if worked || err != nil {
			t.Errorf("another gatherer worked (%t): %v", worked, err)
		}
	}}
	_, err = first.Step(t.Context())
	kittest.Must(t, err)
	a, err := w.store.Athlete(t.Context(), id)
	kittest.Must(t, err)
	if n := w.strava.Counters().Total("", id) - before; n != 1 || calls != 1 || !a.Scan.ProfileDone || a.Job.Failures != 0 {
		t.Errorf("%d calls, the profile is read: %t, %d failures", n, a.Scan.ProfileDone, a.Job.Failures)
	}
}
