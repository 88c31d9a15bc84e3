package sim

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/standin/strava"
)

// newInvariants returns the invariants of the world.
func (w *world) newInvariants() *invariants {
	s := w.stored
	v := newInvariants(w.strava, w.fitbit, holdings{s.credentials, s.gathering, s.athlete, s.activity.Store}, w.violation)
	v.issued = func() []*issued { return w.people.issued }
	v.deadLetters = func() (n int) {
		for _, q := range w.cloud.queues {
			n += len(q.deadLetters)
		}
		return n
	}
	v.rang = func(since time.Time) (names []string) {
		for _, a := range w.alarms.all {
			// All places may be taken, and a cleared stage has no subscription.
			if a.rang.After(since) && !w.closed && !strings.HasSuffix(a.metric, " "+metric.Authorized) {
				names = append(names, a.name)
			}
		}
		return names
	}
	v.messages = func() (n int) {
		for _, q := range w.cloud.queues {
			n += q.open
		}
		return n + w.cloud.bus.underway
	}
	return v
}

// inspect searches text that leaves a function.
func (w *world) inspect(where string, data []byte) { w.invariants.inspect(where, data) }

// answered checks an answer of the HTTP API.
func (w *world) answered(viewer int64, path string, status int, body []byte) {
	w.invariants.answered(viewer, path, status, body)
}

// stravaHandler returns Strava with every call observed.
func (w *world) stravaHandler() http.Handler {
	return http.HandlerFunc(func(res http.ResponseWriter, r *http.Request) { w.invariants.observe(w.strava).ServeHTTP(res, r) })
}

// checkHourly checks what must hold at every hour.
func (w *world) checkHourly() {
	if w.disturbed() {
		w.invariants.failed()
	}
	w.invariants.checkHourly()
}

// checkAtRest checks what must hold at the end of a calm.
func (w *world) checkAtRest() {
	for range 60 {
		if w.invariants.moving() == "" {
			break
		}
		w.k.run(time.Now().Add(7 * time.Second))
	}
	w.invariants.checkAtRest()
}

// disturbed reports whether something outside the system delays work now.
func (w *world) disturbed() bool {
	s := w.strava.Settings()
	if s.Inactive || s.Delivery != strava.DeliverNow || s.Capacity != w.plan.Strava.Capacity {
		return true
	}
	sub := w.strava.Subscription()
	if sub == nil || !strings.HasPrefix(sub.CallbackURL, siteURL) {
		return true
	}
	id, secret := w.strava.Client()
	app, err := w.stored.credentials.Vault.App(context.Background(), credentials.ProviderStrava)
	if err != nil || app.ClientID != strconv.FormatInt(id, 10) || app.ClientSecret.Reveal() != secret {
		return true
	}
	return w.cloud.bus.underway > 0
}
