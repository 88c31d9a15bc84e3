package credentials_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

func TestForwardReturnsTheResponseAndTheRateLimits(t *testing.T) {
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

func TestForwardDistinguishesOutcomes(t *testing.T) {
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
	// Strava invalidates the access token before its expiry.
	if err := w.strava.SetTokenLife(id, -time.Second); err != nil {
		t.Fatal(err)
	}
	w.mustAnswer(id, generation)
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// TestARefusedAccessTokenIsNotUsedAgain, neither while another process
// refreshes it nor when the refresh fails.
func TestARefusedAccessTokenIsNotUsedAgain(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.strava.SetTokenLife(id, -time.Second); err != nil {
		t.Fatal(err)
	}
	lease(t, w, id, "another process", w.clock.Now().Add(10*time.Second))
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

func TestActivitiesRefusedForAMissingScopeDegrade(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	// At Strava the athlete has since withdrawn access to activities.
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
	version, err := w.vault.SaveTokens(t.Context(), credentials.Athlete(id), generation, auth.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
		g.Tokens.Version = version
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	// A refusal for one activity says nothing about the others.
	res, err := w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: "/activities/1"})
	if err != nil || res.Outcome != credentialsv1.OutcomeAnswered || res.Status != 401 || w.grant(id).State != credentials.Active {
		t.Errorf("one activity: %s %d %v", res.Outcome, res.Status, err)
	}
	res, err = w.requester.Forward(t.Context(), credentialsv1.ForwardRequest{AthleteID: id, Generation: generation, Path: "/athlete/activities"})
	if err != nil || res.Outcome != credentialsv1.OutcomeDegraded {
		t.Errorf("%s %d %v", res.Outcome, res.Status, err)
	}
	degraded := eventtest.Facts[credentialsv1.AuthorizationDegraded](w.bus)
	if len(degraded) != 1 || degraded[0].Reason != credentialsv1.DegradedScopeMissing || degraded[0].Generation != generation {
		t.Errorf("published %+v", degraded)
	}
	if g := w.grant(id); g.State != credentials.Degraded || g.Reason != credentialsv1.DegradedScopeMissing || w.counts.Of(metric.Degraded) != 1 {
		t.Errorf("grant %+v", g)
	}
	// Strava is not called again, and connecting again repairs the grant.
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

// reply is the response of Strava's API to one call.
type reply struct {
	status  int
	refused error
	// err says that there was no answer, notSent that the call did not leave, and
	// late that the request's time ended meanwhile.
	err     error
	notSent bool
	late    bool
}

// scriptedAPI gives one reply after another, each with its number in a header.
type scriptedAPI struct {
	replies []reply
	calls   int
	end     context.CancelFunc
}

func (a *scriptedAPI) Get(context.Context, secret.String, string, map[string]string) (credentials.APIResponse, error) {
	r := a.replies[a.calls]
	a.calls++
	if r.late {
		a.end()
	}
	if r.err != nil {
		return credentials.APIResponse{Sent: !r.notSent}, r.err
	}
	return credentials.APIResponse{
		Sent: true, Status: r.status, Refused: r.refused, Header: map[string]string{"X-Ratelimit-Usage": strconv.Itoa(a.calls)}, Body: []byte("body"),
	}, nil
}

// unwritable is a grants table that can be read only.
type unwritable struct{ credentials.Grants }

func (unwritable) Update(context.Context, credentials.Account, func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	return credentials.Grant{}, errors.New("the table refuses")
}

// damaged is a vault whose token pairs cannot be decoded.
type damaged struct{ credentials.Vault }

func (damaged) Tokens(context.Context, credentials.Account, int64, int64) (credentials.TokenPair, error) {
	return credentials.TokenPair{}, fault.New(fault.Permanent, "unexpected parameter value")
}

// TestForwardReportsTheFailingPartyAndTheCallsSent for every course that a request
// can take.
func TestForwardReportsTheFailingPartyAndTheCallsSent(t *testing.T) {
	const (
		answered    = credentialsv1.OutcomeAnswered
		unavailable = credentialsv1.OutcomeUnavailable
		failed      = credentialsv1.OutcomeFailed
		revoked     = credentialsv1.OutcomeRevoked
		degraded    = credentialsv1.OutcomeDegraded
		application = credentialsv1.OutcomeApplication
	)
	type request struct {
		*world
		process        *credentials.Tokens
		id, generation int64
		path           string
		timeLeft       time.Duration
	}
	type before func(*request)
	var (
		page       = reply{status: 200}
		dead       = reply{status: 401, refused: credentials.ErrAccessTokenInvalid}
		noScope    = reply{status: 401, refused: credentials.ErrInsufficientScope}
		inactive   = reply{status: 403, refused: credentials.ErrAppRefused}
		noAnswer   = reply{err: fault.New(fault.Transient, "connection reset")}
		notSent    = reply{err: fault.New(fault.Transient, "connection refused"), notSent: true}
		malformed  = reply{err: fault.New(fault.Permanent, "the configured URL is malformed"), notSent: true}
		outOfTime  = reply{err: fault.New(fault.Transient, "context deadline exceeded"), late: true}
		tokenFault = func(kind strava.FaultKind) before {
			return func(r *request) {
				if err := r.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: kind, Count: -1}); err != nil {
					t.Fatal(err)
				}
			}
		}
		tokenAnswer = func(status int, body string) before {
			client := &http.Client{Transport: standin.InProcess(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			}))}
			return func(r *request) {
				r.process.OAuth = provider.NewOAuth(client, provider.Strava("http://strava.test/oauth", settings.RevocationRevoke), r.clock.Now)
			}
		}
		expired   before = func(r *request) { r.clock.Advance(7 * time.Hour) }
		list      before = func(r *request) { r.path = "/athlete/activities" }
		leaseBusy before = func(r *request) {
			lease(t, r.world, r.id, "another process", r.clock.Now().Add(time.Hour))
			r.process.Sleep = func(context.Context, time.Duration) error { return context.DeadlineExceeded }
		}
		ssmDown before = func(r *request) {
			r.process.Vault = outVault{r.process.Vault, &outage{w: r.world, until: r.clock.Now().AddDate(1, 0, 0)}, false}
		}
		kmsDown before = func(r *request) {
			r.process.Sealer = outSealer{r.process.Sealer, &outage{w: r.world, until: r.clock.Now().AddDate(1, 0, 0)}}
		}
		tableDown before = func(r *request) {
			r.process.Grants = outGrants{r.process.Grants, &outage{w: r.world, until: r.clock.Now().AddDate(1, 0, 0)}}
		}
		tableReadOnly before = func(r *request) { r.process.Grants = unwritable{r.process.Grants} }
		cannotSave    before = func(r *request) {
			r.process.OAuth = &revoking{r.oauth, func() { r.process.Grants = unwritable{r.process.Grants} }}
		}
		leftMeanwhile before = func(r *request) {
			r.process.OAuth = &revoking{r.oauth, func() {
				if err := r.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(r.id), r.generation, "receipt", r.clock.Now()); err != nil {
					t.Error(err)
				}
			}}
		}
		withdrawn before = func(r *request) {
			if err := r.strava.Deauthorize(r.id); err != nil {
				t.Error(err)
			}
		}
		tokensMissing before = func(r *request) {
			if err := r.vault.DeleteTokens(t.Context(), credentials.Athlete(r.id), r.generation); err != nil {
				t.Error(err)
			}
		}
		tokensDamaged  before = func(r *request) { r.process.Vault = damaged{r.process.Vault} }
		busDown        before = func(r *request) { r.bus.Fail(fault.New(fault.Transient, "bus throttled")) }
		newAuthorized  before = func(r *request) { r.connected(r.id) }
		left                  = func(d time.Duration) before { return func(r *request) { r.timeLeft = d } }
		inactiveAnswer        = `{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}`
	)
	for name, tc := range map[string]struct {
		before  []before
		replies []reply
		outcome string
		calls   int
	}{
		"a page":                                    {nil, []reply{page}, answered, 1},
		"an error of Strava's":                      {nil, []reply{{status: 500}}, answered, 1},
		"a rate limit":                              {nil, []reply{{status: 429}}, answered, 1},
		"an activity that is gone":                  {nil, []reply{{status: 404}}, answered, 1},
		"no answer":                                 {nil, []reply{noAnswer}, unavailable, 1},
		"no connection":                             {nil, []reply{notSent}, unavailable, 0},
		"a malformed setting":                       {nil, []reply{malformed}, failed, 0},
		"no time left to call":                      {[]before{left(4 * time.Second)}, nil, failed, 0},
		"time ends during the call":                 {nil, []reply{outOfTime}, failed, 1},
		"an inactive application":                   {nil, []reply{inactive}, application, 1},
		"a scope missing for one activity":          {nil, []reply{noScope}, answered, 1},
		"a scope missing for the list":              {[]before{list}, []reply{noScope}, degraded, 1},
		"a scope missing, and the table refuses":    {[]before{list, tableReadOnly}, []reply{noScope}, failed, 1},
		"renewed":                                   {nil, []reply{dead, page}, answered, 2},
		"renewed, an error of Strava's":             {nil, []reply{dead, {status: 503}}, answered, 2},
		"renewed, refused again":                    {nil, []reply{dead, dead}, unavailable, 2},
		"renewed, no answer":                        {nil, []reply{dead, noAnswer}, unavailable, 2},
		"renewed, no connection":                    {nil, []reply{dead, notSent}, unavailable, 1},
		"renewed, time ends during the call":        {nil, []reply{dead, outOfTime}, failed, 2},
		"renewed, an inactive application":          {nil, []reply{dead, inactive}, application, 2},
		"renewed, a scope missing for the list":     {[]before{list}, []reply{dead, noScope}, degraded, 2},
		"not renewed, reset":                        {[]before{tokenFault(strava.FaultReset)}, []reply{dead}, unavailable, 1},
		"not renewed, 502":                          {[]before{tokenFault(strava.Fault502)}, []reply{dead}, unavailable, 1},
		"not renewed, 503":                          {[]before{tokenFault(strava.Fault503)}, []reply{dead}, unavailable, 1},
		"not renewed, 429":                          {[]before{tokenFault(strava.Fault429)}, []reply{dead}, unavailable, 1},
		"not renewed, HTML under 200":               {[]before{tokenAnswer(200, "<html>")}, []reply{dead}, unavailable, 1},
		"not renewed, null under 200":               {[]before{tokenAnswer(200, "null")}, []reply{dead}, unavailable, 1},
		"not renewed, HTML under 403":               {[]before{tokenAnswer(403, "<html>")}, []reply{dead}, unavailable, 1},
		"not renewed, another thing forbidden":      {[]before{tokenAnswer(403, `{"errors":[{"resource":"Athlete"}]}`)}, []reply{dead}, unavailable, 1},
		"not renewed, an inactive application":      {[]before{tokenAnswer(403, inactiveAnswer)}, []reply{dead}, application, 1},
		"not renewed, the athlete withdrew":         {[]before{withdrawn}, []reply{dead}, degraded, 1},
		"not renewed, the athlete left meanwhile":   {[]before{leftMeanwhile}, []reply{dead}, revoked, 1},
		"not renewed, too little time":              {[]before{left(20 * time.Second)}, []reply{dead}, failed, 1},
		"not renewed, KMS down":                     {[]before{kmsDown}, []reply{dead}, failed, 1},
		"not renewed, another process is at it":     {[]before{leaseBusy}, []reply{dead}, failed, 1},
		"renewed, and neither store takes the pair": {[]before{cannotSave}, []reply{dead}, failed, 1},
		"expired, 503":                              {[]before{expired, tokenFault(strava.Fault503)}, nil, unavailable, 0},
		"expired, an inactive application":          {[]before{expired, tokenAnswer(403, inactiveAnswer)}, nil, application, 0},
		"expired, the athlete withdrew":             {[]before{expired, withdrawn}, nil, degraded, 0},
		"expired, renewed":                          {[]before{expired}, []reply{page}, answered, 1},
		"expired, another process is at it":         {[]before{expired, leaseBusy}, nil, failed, 0},
		"SSM down":                                  {[]before{ssmDown}, nil, failed, 0},
		"the table down":                            {[]before{tableDown}, nil, failed, 0},
		"tokens missing":                            {[]before{tokensMissing}, nil, failed, 0},
		"tokens damaged":                            {[]before{tokensDamaged}, nil, failed, 0},
		"the athlete withdrew, and the bus is down": {[]before{expired, withdrawn, busDown}, nil, failed, 0},
		"an earlier authorization":                  {[]before{newAuthorized}, nil, revoked, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			r := &request{world: w, process: w.process(w.patient), id: w.athlete(0), path: "/athlete", timeLeft: time.Hour}
			r.generation = w.connected(r.id)
			for _, prepare := range tc.before {
				prepare(r)
			}
			ctx, end := context.WithTimeout(t.Context(), r.timeLeft)
			defer end()
			api := &scriptedAPI{replies: tc.replies, end: end}
			requester := w.ports.Requester(r.process)
			requester.API = api
			res, err := requester.Forward(ctx, credentialsv1.ForwardRequest{AthleteID: r.id, Generation: r.generation, Path: r.path})
			if err != nil {
				t.Fatal(err)
			}
			if res.Outcome != tc.outcome || res.Calls != tc.calls {
				t.Errorf("%s after %d calls, want %s after %d: %s", res.Outcome, res.Calls, tc.outcome, tc.calls, w.log.String())
			}
			if api.calls != len(tc.replies) {
				t.Errorf("%d calls were tried", api.calls)
			}
			if n := w.strava.Counters().Total(strava.EndpointRefresh, r.id); n > 1 {
				t.Errorf("%d refreshes", n)
			}
			// The last response's rate limits are returned in any case, its status and
			// body only if it is the result.
			usage := ""
			for i, r := range tc.replies {
				if r.err == nil {
					usage = strconv.Itoa(i + 1)
				}
			}
			if res.Header["X-Ratelimit-Usage"] != usage || (res.Status != 0) != (tc.outcome == answered) || (res.Body != "") != (tc.outcome == answered) {
				t.Errorf("passed on: %+v", res)
			}
			// One line has the outcome, and an error is counted by its kind.
			if n := strings.Count(w.log.String(), "level=ERROR"); (n == 1) != (tc.outcome == failed) || n > 1 {
				t.Errorf("logged: %s", w.log.String())
			}
			if n := strings.Count(w.log.String(), "call forwarded"); n != 1 || !strings.Contains(w.log.String(), " outcome="+tc.outcome+" calls="+strconv.Itoa(tc.calls)+" ") {
				t.Errorf("logged: %s", w.log.String())
			}
			want := map[string]string{failed: metric.CallFailed, unavailable: metric.CallUnavailable, application: metric.CallAppRefused}[tc.outcome]
			switch {
			case tc.outcome == answered && tc.replies[len(tc.replies)-1].status >= 500:
				want = metric.CallUnavailable
			case tc.outcome == answered && tc.replies[len(tc.replies)-1].status == 429:
				want = metric.CallRateLimited
			}
			for _, metric := range []string{
				metric.CallFailed, metric.CallUnavailable, metric.CallAppRefused, metric.CallRateLimited,
			} {
				if n := w.counts.Of(metric); (n == 1) != (metric == want) || n > 1 {
					t.Errorf("counted %s %d times", metric, n)
				}
			}
			w.mustBeSilent()
		})
	}
}

// slowAPI delays the responses of its API.
type slowAPI struct {
	credentials.API
	clock *standin.ManualClock
	takes time.Duration
}

func (a slowAPI) Get(ctx context.Context, access secret.String, path string, query map[string]string) (credentials.APIResponse, error) {
	a.clock.Advance(a.takes)
	return a.API.Get(ctx, access, path, query)
}

// TestForwardLogsOneLine with the outcome of a call, and nothing of its request and
// response.
func TestForwardLogsOneLine(t *testing.T) {
	const inactiveBody = `{"errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}`
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	answering := func(status int, header map[string]string, body string) credentials.API {
		return vendor.NewAPI(&http.Client{Transport: standin.InProcess(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			for name, value := range header {
				rw.Header().Set(name, value)
			}
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(body))
		}))}, "http://strava.test/api/v3")
	}
	limits := map[string]string{
		"X-RateLimit-Limit": "200,2000", "X-RateLimit-Usage": "8,151", "X-ReadRateLimit-Limit": "100, 1000", "X-ReadRateLimit-Usage": "7, 150",
	}
	line := func(members string) string {
		return `{"level":"INFO","msg":"call forwarded","provider":"strava",` + members + "}\n"
	}
	usage := `,"usage":"8,151","limit":"200,2000","read_usage":"7, 150","read_limit":"100, 1000"`
	for name, tc := range map[string]struct {
		api                 credentials.API
		path, correlationID string
		want                string
	}{
		"the athlete": {
			answering(200, limits, `{"firstname":"Ada"}`), "/athlete", "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
			line(`"endpoint":"athlete","outcome":"answered","calls":1,"duration_ms":1234,"status":200` + usage + `,"correlation_id":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"`),
		},
		"activities": {
			answering(200, limits, `[{"name":"Lunch"}]`), "/athlete/activities", "",
			line(`"endpoint":"activities","outcome":"answered","calls":1,"duration_ms":1234,"status":200` + usage),
		},
		"one activity": {
			answering(404, limits, ""), "/activities/15000000001", "",
			line(`"endpoint":"activity","outcome":"answered","calls":1,"duration_ms":1234,"status":404` + usage),
		},
		"Strava refuses the application": {
			answering(403, limits, inactiveBody), "/athlete", "",
			strings.Replace(line(`"endpoint":"athlete","outcome":"application","calls":1,"duration_ms":1234,"status":403`+usage+
				`,"fault":"internal","error":"application refused"`), "INFO", "WARN", 1),
		},
		"a fault of ours": {
			&scriptedAPI{replies: []reply{{err: fault.New(fault.Permanent, "the configured URL is malformed"), notSent: true}}}, "/athlete", "",
			strings.Replace(line(`"endpoint":"athlete","outcome":"failed","calls":0,"duration_ms":1234`+
				`,"fault":"permanent","error":"the configured URL is malformed","athlete_id":`+strconv.FormatInt(id, 10)), "INFO", "ERROR", 1),
		},
		"header fields that are none of Strava's": {
			answering(200, map[string]string{"X-RateLimit-Usage": "Ada", "X-RateLimit-Limit": "200", "X-ReadRateLimit-Usage": "8,151,Ada"}, "{}"), "/athlete", "",
			line(`"endpoint":"athlete","outcome":"answered","calls":1,"duration_ms":1234,"status":200`),
		},
		"correlation ids that are none": {
			answering(200, nil, "{}"), "/athlete", "Ada Lovelace\n",
			line(`"endpoint":"athlete","outcome":"answered","calls":1,"duration_ms":1234,"status":200`),
		},
		"a correlation id without an end": {
			answering(200, nil, "{}"), "/athlete", strings.Repeat("a", 65),
			line(`"endpoint":"athlete","outcome":"answered","calls":1,"duration_ms":1234,"status":200`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			requester := w.ports.Requester(w.tokens)
			requester.API = slowAPI{tc.api, w.clock, 1234 * time.Millisecond}
			requester.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			}}))
			_, err := requester.Forward(t.Context(), credentialsv1.ForwardRequest{
				AthleteID: id, Generation: generation, Path: tc.path, Query: map[string]string{"before": "1790000000"}, CorrelationID: tc.correlationID,
			})
			if err != nil || log.String() != tc.want {
				t.Errorf("%v, logged\n%s, want\n%s", err, log.String(), tc.want)
			}
		})
	}
}
