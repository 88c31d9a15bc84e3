package credentials_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/strava"
)

func TestForwardPassesOnTheAnswerAndTheRateLimits(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	res, err := w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{
		AthleteID: id, Generation: generation, Path: "/athlete/activities", Query: map[string]string{"per_page": "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Athlete struct{ ID int64 } }
	if err := json.Unmarshal([]byte(res.Body), &list); err != nil || len(list) != 2 || list[0].Athlete.ID != id {
		t.Errorf("body of %d bytes (%v)", len(res.Body), err)
	}
	for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Usage", "X-Readratelimit-Limit", "X-Readratelimit-Usage"} {
		if res.Header[name] == "" {
			t.Errorf("%s is missing in %v", name, res.Header)
		}
	}
}

func TestForwardRefusesWhatGatheringDoesNotNeed(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	before := w.strava.Counters().Total("", id)
	for _, path := range []string{
		"", "/", "/athletes/1/stats", "/activities", "/activities/x", "/activities/1/streams", "/athlete/", "athlete",
		"/athlete?x=1", "/athlete/activities/../../oauth", "https://elsewhere.test/athlete", "//athlete", "/athlete\n",
	} {
		_, err := w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: path})
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if n := w.strava.Counters().Total("", id); n != before {
		t.Errorf("%d calls were made", n-before)
	}
}

func TestForwardTellsOutcomesApart(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	outcome := func(path string) (string, int) {
		t.Helper()
		res, err := w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return res.Outcome, res.Status
	}
	inject := func(kind strava.FaultKind) {
		t.Helper()
		if err := w.strava.Inject(strava.Fault{Endpoint: "api", Kind: kind}); err != nil {
			t.Fatal(err)
		}
	}
	if o, s := outcome("/activities/1"); o != credentialsv1.OutcomeAnswered || s != 404 {
		t.Errorf("not found: %s %d", o, s)
	}
	for kind, want := range map[strava.FaultKind]int{strava.Fault500: 500, strava.Fault502: 502, strava.Fault597: 597, strava.Fault429: 429} {
		inject(kind)
		if o, s := outcome("/athlete"); o != credentialsv1.OutcomeAnswered || s != want {
			t.Errorf("%s: %s %d", kind, o, s)
		}
	}
	inject(strava.FaultReset)
	if o, _ := outcome("/athlete"); o != credentialsv1.OutcomeUnavailable {
		t.Errorf("reset: %s", o)
	}
	inject(strava.Fault403)
	if o, _ := outcome("/athlete"); o != credentialsv1.OutcomeApplication {
		t.Errorf("inactive application: %s", o)
	}
	if o, _ := outcome("/athlete"); o != credentialsv1.OutcomeAnswered {
		t.Errorf("after all that: %s", o)
	}
}

func TestForwardRenewsARefusedAccessTokenOnce(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	// Strava forgets the access token before the time it promised.
	if err := w.strava.SetTokenLife(id, -time.Second); err != nil {
		t.Fatal(err)
	}
	w.mustAnswer(id, generation)
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// TestARefusedAccessTokenIsNotUsedAgain, neither while somebody else is
// refreshing nor when the refresh fails.
func TestARefusedAccessTokenIsNotUsedAgain(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.strava.SetTokenLife(id, -time.Second); err != nil {
		t.Fatal(err)
	}
	lease(t, w, id, "somebody", w.clock.Now().Add(10*time.Second))
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: strava.Fault503}); err != nil {
		t.Fatal(err)
	}
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeUnavailable {
		t.Errorf("outcome %s", res.Outcome)
	}
	if n := w.strava.Counters().Total(strava.EndpointAthlete, 0); n != 1 {
		t.Errorf("%d calls", n)
	}
	w.mustAnswer(id, generation)
}

func TestActivitiesRefusedForWantOfAScopeDegrade(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	// The athlete has since taken the activities back, as Strava sees it.
	code, err := w.strava.Authorize(id, "read")
	if err != nil {
		t.Fatal(err)
	}
	app, err := w.vault.App(t.Context(), credentials.ProviderStrava)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := w.oauth.Exchange(t.Context(), app, redirectURI, secret.New(code), secret.String{})
	if err != nil {
		t.Fatal(err)
	}
	version, err := w.vault.SaveTokens(t.Context(), credentials.Athlete(id), auth.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) error {
		g.TokenVersion = version
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// Refused for one activity, it says nothing of the others.
	res, err := w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: "/activities/1"})
	if err != nil || res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 401 || w.grant(id).State != credentials.Active {
		t.Errorf("one activity: %s %d %v", res.Outcome, res.Status, err)
	}
	res, err = w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: "/athlete/activities"})
	if err != nil || res.Outcome != credentialsv1.OutcomeDegraded {
		t.Errorf("%s %d %v", res.Outcome, res.Status, err)
	}
	told := eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)
	if len(told) != 1 || told[0].Reason != credentialsv1.DegradedScopeMissing || told[0].Generation != generation {
		t.Errorf("announced %+v", told)
	}
	if g := w.grant(id); g.State != credentials.Degraded || g.Reason != credentialsv1.DegradedScopeMissing || w.counts.Of(credentials.MetricDegraded) != 1 {
		t.Errorf("grant %+v", g)
	}
	// Strava is not asked again, and connecting again leads out.
	calls := w.strava.Counters().Total("", id)
	for range 2 {
		if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeDegraded {
			t.Errorf("the next call: %s", res.Outcome)
		}
	}
	if n := w.strava.Counters().Total("", id); n != calls {
		t.Errorf("%d calls were made in vain", n-calls)
	}
	w.mustAnswer(id, w.connected(id))
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes for a missing scope", n)
	}
}
