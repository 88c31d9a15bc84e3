package gathering_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/strava"
)

// storm lets athletes record, rename and delete at random, and returns Strava's
// events: a fifth of them twice, a fifth in another order, and one in twenty
// forged.
func (w *world) storm(rng *rand.Rand, total int) (events []gathering.WebhookEvent) {
	w.t.Helper()
	ids := w.strava.Athletes()
	for len(events) < total*3/4 {
		id := ids[rng.IntN(len(ids))].ID
		truth := w.truth(id)
		switch k := rng.IntN(10); {
		case k < 5 || len(truth) == 0:
			a := w.add(id, strava.NewActivity{Name: fmt.Sprint("New ", len(events)), Start: w.clock.Now().Add(-time.Duration(rng.IntN(100*24)) * time.Hour)})
			events = append(events, w.event(id, a, gathering.AspectCreate))
		case k < 8:
			a := truth[rng.IntN(len(truth))].ID
			name := fmt.Sprint("Renamed ", len(events))
			w.rename(id, a, name)
			n := w.event(id, a, gathering.AspectUpdate)
			n.Updates = map[string]any{"title": name}
			events = append(events, n)
		default:
			a := truth[rng.IntN(len(truth))].ID
			w.remove(id, a)
			events = append(events, w.event(id, a, gathering.AspectDelete))
		}
	}
	genuine := len(events)
	for range total / 5 {
		events = append(events, events[rng.IntN(genuine)])
	}
	for range total / 20 {
		id := ids[rng.IntN(len(ids))].ID
		n := w.event(id, 1, []string{gathering.AspectCreate, gathering.AspectUpdate, gathering.AspectDelete}[rng.IntN(3)])
		switch rng.IntN(5) {
		case 0: // An activity of the athlete.
			if truth := w.truth(id); len(truth) > 0 {
				n.ObjectID = truth[rng.IntN(len(truth))].ID
			}
		case 1: // Another athlete's activity.
			if truth := w.truth(ids[rng.IntN(len(ids))].ID); len(truth) > 0 {
				n.ObjectID = truth[0].ID
			}
		case 2:
			n.OwnerID = 99
		case 3:
			n.SubscriptionID++
		}
		events = append(events, n)
	}
	for range len(events) / 5 {
		i, k := rng.IntN(len(events)), rng.IntN(len(events))
		events[i], events[k] = events[k], events[i]
	}
	return events
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
			events := w.storm(rng, 2000)
			for i, n := range events {
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
				if m := w.inbox(a.ID); len(m.Hints) != 0 || m.Job.Class != "" {
					t.Errorf("left %+v", m)
				}
			}
			for _, metric := range []string{metric.Quarantined, metric.Failed} {
				if n := w.metrics.Of(metric); n != 0 {
					t.Errorf("metric %s is %d", metric, n)
				}
			}
			d, m := w.metrics.Of(metric.WebhookDuplicates), w.metrics.Of(metric.WebhookEvents)
			t.Logf("%d events: %d delivered, %d duplicates, %d unknown, %d rejected; %d calls", len(events), m, d,
				w.metrics.Of(metric.WebhookUnknown), w.metrics.Of(metric.WebhookRejected), w.strava.Counters().Total("", 0)-before)
			if d < 350 || d > 450 {
				t.Errorf("%d duplicates", d)
			}
		})
	}
}
