package credentials_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/standin/strava"
)

// mustBeSilent checks that no log line or event contains a secret.
func (w *world) mustBeSilent() {
	w.t.Helper()
	said := w.log.String()
	for _, e := range w.bus.Events() {
		detail, err := e.Detail()
		if err != nil {
			w.t.Fatal(err)
		}
		said += string(detail)
	}
	s := w.strava.Secrets()
	for kind, tokens := range map[string][]string{
		"access token": s.AccessTokens, "refresh token": s.RefreshTokens, "code": s.Codes, "client secret": {s.ClientSecret, s.BasicAuth},
	} {
		for _, token := range tokens {
			if strings.Contains(said, token) {
				w.t.Errorf("an athlete's or the application's %s can be read", kind)
			}
		}
	}
}

// TestStravaFailsForAWhile has one kind of fault last for ten minutes, while the
// access token is expired, and while it is due for renewal.
func TestStravaFailsForAWhile(t *testing.T) {
	for _, kind := range []strava.FaultKind{
		strava.Fault500, strava.Fault502, strava.Fault503, strava.Fault597, strava.Fault429, strava.Fault429Text, strava.FaultReset,
	} {
		for _, endpoint := range []string{"refresh", "api", "oauth", "any"} {
			for _, age := range []time.Duration{5*time.Hour + 30*time.Minute, 7 * time.Hour} {
				t.Run(fmt.Sprintf("%s of %s after %s", kind, endpoint, age), func(t *testing.T) {
					w := newWorld(t, strava.Settings{ReadLimit: strava.Limit{10_000, 100_000}, OverallLimit: strava.Limit{10_000, 100_000}})
					id, leaving, claimed := w.athlete(0), w.athlete(1), w.athlete(2)
					generation, left := w.connected(id), w.connected(leaving)
					w.connected(claimed)
					w.clock.Advance(age)
					w.strava.ResetCounters()
					if err := w.strava.Inject(strava.Fault{Endpoint: endpoint, Kind: kind, Count: -1}); err != nil {
						t.Fatal(err)
					}
					if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(leaving), left, "receipt", w.clock.Now()); err != nil {
						t.Error(err)
					}
					if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(claimed)); err != nil {
						t.Error(err)
					}
					processes := []*credentials.Tokens{w.process(w.patient), w.process(w.patient)}
					asked := 0
					for range 20 {
						for _, p := range processes {
							asked++
							if o := w.by(p, id, generation).Outcome; o != credentialsv1.OutcomeAnswered && o != credentialsv1.OutcomeUnavailable {
								t.Fatalf("outcome %s", o)
							}
						}
						w.clock.Advance(30 * time.Second)
					}
					c := w.strava.Counters()
					if n := c.Total(strava.EndpointRefresh, id); n > asked {
						t.Errorf("%d refreshes for %d calls", n, asked)
					}
					if n := c.Total(strava.EndpointAthlete, id); n > 2*asked {
						t.Errorf("%d calls to Strava for %d of ours", n, asked)
					}
					if n := w.counts.Of(metric.RefreshFailed); endpoint != "api" && n < c.Total(strava.EndpointRefresh, id) {
						t.Errorf("%d failed refreshes were counted", n)
					}
					w.strava.ClearFaults()
					for _, p := range append(processes, w.process(w.patient)) {
						if res := w.by(p, id, generation); res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 200 {
							t.Errorf("afterwards: %s %d", res.Outcome, res.Status)
						}
					}
					w.reconcileAll()
					for who, want := range map[int64]credentials.State{id: credentials.Active, leaving: credentials.Erased, claimed: credentials.Active} {
						if g := w.grant(who); g.State != want || g.HasPendingTasks() {
							t.Errorf("afterwards: %+v, want %s", g, want)
						}
					}
					if n := w.counts.Of(metric.Unsaved) + w.counts.Of(metric.Degraded); n != 0 {
						t.Errorf("%d athletes were lost", n)
					}
					w.mustBeSilent()
				})
			}
		}
	}
}

// slow lets a request take effect, but its response reaches our client too late.
func (w *world) slow(path string) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		res, err := w.client.Transport.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, path) {
			_ = res.Body.Close()
			return nil, context.DeadlineExceeded
		}
		return res, err
	})}
}

// TestStravaAnswersTooLate: it is then unknown whether Strava replaced the refresh
// token. If it did, the new token is lost: the call is served by the old access
// token, the next one finds the refresh token refused, and the athlete is asked to
// connect again.
func TestStravaAnswersTooLate(t *testing.T) {
	for _, rotation := range []strava.Rotation{strava.RotateNever, strava.RotateAlways} {
		t.Run(string(rotation), func(t *testing.T) {
			w := newWorld(t, strava.Settings{Rotation: rotation})
			id := w.athlete(0)
			generation := w.connected(id)
			w.clock.Advance(5*time.Hour + 30*time.Minute)
			late := w.process(w.patient)
			late.OAuth = provider.NewOAuth(w.slow("/oauth/token"), provider.Strava("http://strava.test/oauth", "revoke"), w.clock.Now)
			if res := w.by(late, id, generation); res.Outcome != credentialsv1.OutcomeAnswered {
				t.Errorf("while it is slow: %s", res.Outcome)
			}
			if n := w.counts.Of(metric.RefreshFailed); n != 1 {
				t.Errorf("counted %d times", n)
			}
			calls := w.strava.Counters().Total(strava.EndpointRefresh, id)
			if rotation == strava.RotateNever {
				w.mustAnswer(id, generation)
				w.clock.Advance(5 * time.Hour)
				w.mustAnswer(id, generation)
				if g := w.grant(id); g.State != credentials.Active || g.HasPendingTasks() {
					t.Errorf("grant %+v", g)
				}
				return
			}
			if calls != 1 {
				t.Errorf("Strava was asked %d times", calls)
			}
			// The next attempt finds it, and publishes it.
			if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeDegraded {
				t.Errorf("afterwards: %s", res.Outcome)
			}
			published := eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)
			if len(published) != 1 || published[0].Reason != credentialsv1.DegradedTokenRefused || w.counts.Of(metric.Degraded) != 1 {
				t.Errorf("published %+v", published)
			}
			if !w.vault.Holds(credentials.Athlete(id)) {
				t.Error("something was dropped")
			}
			w.mustAnswer(id, w.connected(id))
			w.mustBeSilent()
		})
	}
}

// TestACallThatIsAnsweredTooLate loses no grant and no token.
func TestACallThatIsAnsweredTooLate(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	slow := w.ports.Requester(w.process(w.patient))
	slow.API = vendor.NewAPI(w.slow("/athlete"), "http://strava.test/api/v3")
	for range 3 {
		res, err := slow.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: "/athlete"})
		if err != nil || res.Outcome != credentialsv1.OutcomeUnavailable {
			t.Errorf("%s, %v", res.Outcome, err)
		}
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes", n)
	}
	w.mustAnswer(id, generation)
}
