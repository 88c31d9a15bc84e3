package sim

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/standin/fitbit"
	"github.com/paceline/paceline/standin/strava"
)

// The hosts of the world.
const (
	siteURL   = "https://paceline.test"
	stravaURL = "https://strava.test"
	fitbitURL = "https://fitbit.test"
)

// clock is the stand-in's clock.
type clock struct{ w *world }

// Now implements [standin.Clock].
func (c clock) Now() time.Time { return time.Now() }

// AfterFunc implements [standin.Clock].
func (c clock) AfterFunc(d time.Duration, f func()) {
	c.w.k.after(d, func() { c.w.k.spawn("Strava", 0, f) })
}

// newStrava returns Strava with the plan's athletes and settings.
func (w *world) newStrava() *strava.Server {
	athletes := make([]strava.Athlete, w.plan.Athletes)
	for i := range athletes {
		athletes[i] = strava.Athlete{
			ID: athleteID(i), Firstname: firstnames[i%len(firstnames)], Lastname: "Example", City: "Bergen", CreatedAt: w.began.AddDate(-5, 0, 0),
		}
	}
	return strava.New(strava.Config{
		Clock: clock{w}, Seed: w.plan.Seed, CallbackDomain: "paceline.test", Athletes: athletes, Settings: w.plan.Strava,
		Callbacks: callbacks{w}, Fault: func(r strava.Request) *strava.Fault { return w.invariants.faultOf(w.stravaFault)(r) },
	})
}

var firstnames = []string{"Ada", "Bo", "Cleo", "Dag", "Eli", "Fay"}

// athleteID returns the id of the plan's athlete with this number.
func athleteID(n int) int64 { return 70_000_001 + int64(n) }

// stravaFault is the wrong answer that Strava gives to a call, if the plan has one.
func (w *world) stravaFault(r strava.Request) *strava.Fault {
	k := w.draw("strava " + r.Endpoint)
	if k == "" {
		return nil
	}
	return &strava.Fault{Kind: strava.FaultKind(k), Count: 1}
}

// network carries requests to the providers.
type network struct{ w *world }

var errConnection = errors.New("connection reset")

// RoundTrip implements [http.RoundTripper].
func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	w := n.w
	server, known := w.hosts[r.URL.Host]
	if !known {
		return nil, errors.New("no such host")
	}
	failure := w.draw("network " + r.URL.Host)
	switch failure {
	case refuse:
		w.k.pause(w.latency())
		return nil, errConnection
	case hang:
		return nil, w.hangUp(r.Context())
	case killBefore:
		w.k.kill(w.k.running)
	}
	var res *http.Response
	var err error
	withCaller := context.WithValue(context.WithoutCancel(r.Context()), callerKey{}, w.k.running.name)
	left := w.k.call(r.Context(), r.URL.Host, 0, func() {
		if failure == slow {
			w.k.pause(time.Duration(w.delays.Int64N(int64(15 * time.Second))))
		}
		w.k.pause(30*time.Millisecond + time.Duration(w.delays.Int64N(int64(600*time.Millisecond))))
		res, err = server.RoundTrip(r.WithContext(withCaller)) //nolint:bodyclose // The caller closes it.
		if w.story.tell && err == nil {
			query := "" // Others' queries hold secrets.
			if strings.HasPrefix(r.URL.Path, "/api/v3/athlete") {
				query = "?" + r.URL.RawQuery
			}
			w.story.line("  %s %s%s%s: %d", r.Method, r.URL.Host, r.URL.Path, query, res.StatusCode)
		}
	})
	switch {
	case left != nil:
		return nil, left
	case failure == lose:
		return nil, errConnection
	case failure == hangLate:
		return nil, w.hangUp(r.Context())
	case failure == killAfter:
		w.k.kill(w.k.running)
	}
	return res, err
}

// hangUp waits until the client gives up.
func (w *world) hangUp(ctx context.Context) error {
	limit := time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)+1)
	}
	w.k.pause(limit)
	return context.DeadlineExceeded
}

// networkKinds are the failures of a request to a provider.
var networkKinds = []kind{refuse, lose, slow, hang, hangLate, killBefore, killAfter}

// stravaKinds returns the wrong answers of the endpoint. The stand-in's own
// hangs and resets are left out: the network has them.
func stravaKinds(endpoint string) (kinds []kind) {
	pages := []strava.FaultKind{strava.FaultRepeatedPage, strava.FaultLongPage, strava.Fault200EmptyList}
	for _, f := range strava.FaultKinds() {
		switch {
		case f == strava.FaultNone, f == strava.FaultHang, f == strava.FaultReset, f == strava.FaultDrop:
		case slices.Contains(pages, f) && endpoint != strava.EndpointActivities:
		default:
			kinds = append(kinds, kind(f))
		}
	}
	return kinds
}

// callbacks carries Strava's requests to the callback URL.
type callbacks struct{ w *world }

// RoundTrip implements [http.RoundTripper].
func (c callbacks) RoundTrip(r *http.Request) (*http.Response, error) {
	w := c.w
	switch w.draw("webhook") {
	case refuse:
		return nil, errConnection
	case lose:
		_, _ = w.hosts[r.URL.Host].RoundTrip(r)
		return nil, errConnection
	case slow:
		w.k.pause(time.Duration(w.delays.Int64N(int64(3 * time.Second))))
	case hang:
		return nil, w.hangUp(r.Context())
	}
	return w.hosts[r.URL.Host].RoundTrip(r)
}

// webhookKinds are the failures of Strava's requests to the callback URL.
var webhookKinds = []kind{refuse, lose, slow, hang}

// newFitbit returns Fitbit with one account for each athlete.
func (w *world) newFitbit() *fitbit.Server {
	users := make([]fitbit.User, w.plan.Athletes)
	for i := range users {
		users[i] = fitbit.User{ID: fitbitID(i), DisplayName: firstnames[i%len(firstnames)]}
	}
	return fitbit.New(fitbit.Config{Now: time.Now, Seed: w.plan.Seed, HourlyLimit: 100_000, CallbackDomain: host(siteURL), Users: users})
}

func host(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		panic(err)
	}
	return u.Host
}
