package gathering_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/test/strava"
)

// storm lets athletes record, rename and delete at random and returns what
// Strava says of it: a fifth of it twice, a fifth in another order, and one in
// twenty forged.
func (w *world) storm(rng *rand.Rand, total int) (notices []gathering.WebhookEvent) {
	w.t.Helper()
	ids := w.strava.Athletes()
	for len(notices) < total*3/4 {
		id := ids[rng.IntN(len(ids))].ID
		truth := w.truth(id)
		switch k := rng.IntN(10); {
		case k < 5 || len(truth) == 0:
			a := w.add(id, strava.NewActivity{Name: fmt.Sprint("New ", len(notices)), Start: w.clock.Now().Add(-time.Duration(rng.IntN(100*24)) * time.Hour)})
			notices = append(notices, w.notice(id, a, gathering.AspectCreate))
		case k < 8:
			a := truth[rng.IntN(len(truth))].ID
			name := fmt.Sprint("Renamed ", len(notices))
			w.rename(id, a, name)
			n := w.notice(id, a, gathering.AspectUpdate)
			n.Updates = map[string]any{"title": name}
			notices = append(notices, n)
		default:
			a := truth[rng.IntN(len(truth))].ID
			w.remove(id, a)
			notices = append(notices, w.notice(id, a, gathering.AspectDelete))
		}
	}
	genuine := len(notices)
	for range total / 5 {
		notices = append(notices, notices[rng.IntN(genuine)])
	}
	for range total / 20 {
		id := ids[rng.IntN(len(ids))].ID
		n := w.notice(id, 1, []string{gathering.AspectCreate, gathering.AspectUpdate, gathering.AspectDelete}[rng.IntN(3)])
		switch rng.IntN(5) {
		case 0: // Somebody's that is there.
			if truth := w.truth(id); len(truth) > 0 {
				n.ObjectID = truth[rng.IntN(len(truth))].ID
			}
		case 1: // Somebody else's.
			if truth := w.truth(ids[rng.IntN(len(ids))].ID); len(truth) > 0 {
				n.ObjectID = truth[0].ID
			}
		case 2:
			n.OwnerID = 99
		case 3:
			n.SubscriptionID++
		}
		notices = append(notices, n)
	}
	for range len(notices) / 5 {
		i, k := rng.IntN(len(notices)), rng.IntN(len(notices))
		notices[i], notices[k] = notices[k], notices[i]
	}
	return notices
}

func TestStorms(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, plenty, histories(5, 40, 150, 190, 210, 250, 400, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10)...)
			for _, a := range w.strava.Athletes() {
				w.begin(a.ID)
			}
			w.pass(10 * time.Minute)
			before := w.strava.Counters().Total("", 0)
			notices := w.storm(rng, 2000)
			for i, n := range notices {
				err := w.receiver.Receive(t.Context(), callbackKey, n)
				if err != nil && (!fault.Is(err, fault.Invalid) || n.SubscriptionID == subscription) {
					t.Fatal(err)
				}
				if i%7 == 0 { // A gatherer now and then has time for one thing.
					w.clock.Advance(10 * time.Millisecond)
					if _, err := w.gatherer.Step(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.pass(45 * time.Minute)
			for _, a := range w.strava.Athletes() {
				w.same(a.ID)
				if m := w.mailbox(a.ID); len(m.Hints) != 0 || m.Job.Class != "" {
					t.Errorf("left %+v", m)
				}
			}
			for _, metric := range []string{gathering.MetricParked, gathering.MetricFailed} {
				if n := w.metrics.Of(metric); n != 0 {
					t.Errorf("%s: %d", metric, n)
				}
			}
			d, m := w.metrics.Of(gathering.MetricWebhookDuplicates), w.metrics.Of(gathering.MetricWebhookEvents)
			t.Logf("%d notices: %d delivered, %d duplicates, %d unknown, %d rejected; %d calls", len(notices), m, d,
				w.metrics.Of(gathering.MetricWebhookUnknown), w.metrics.Of(gathering.MetricWebhookRejected), w.strava.Counters().Total("", 0)-before)
			if d < 350 || d > 450 {
				t.Errorf("%d duplicates", d)
			}
		})
	}
}
