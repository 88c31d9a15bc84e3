package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	gatheringstrava "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

const (
	ada int64 = 70_000_001
	bo  int64 = 70_000_002
)

// checked is a system that is at rest: Ada is connected, with two activities that
// everyone may see and one that only she may see. Bo has an account at Strava and
// one activity.
type checked struct {
	t *testing.T
	*invariants
	server *strava.Server
	client *http.Client
	fault  *strava.Fault
	// caller is the function that calls Strava.
	caller string
	// broken are the promises that were violated.
	broken []string
	texts  []string
}

// whileChecked runs a test in a bubble with a virtual clock.
func whileChecked(t *testing.T, do func(c *checked)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &checked{t: t}
		config := strava.Config{CallbackDomain: "paceline.test", Athletes: []strava.Athlete{
			{ID: ada, Firstname: "Ada", CreatedAt: time.Now()}, {ID: bo, Firstname: "Bo", CreatedAt: time.Now()},
		}}
		config.Fault = func(r strava.Request) *strava.Fault {
			return c.faultOf(func(strava.Request) *strava.Fault { f := c.fault; c.fault = nil; return f })(r)
		}
		c.server = strava.New(config)
		defer c.server.Close()
		_, memory := credentialstest.NewPorts(time.Now)
		accounts, _ := athletetest.NewPorts(time.Now)
		c.invariants = newInvariants(c.server, nil, holdings{
			credentials: memory, gathering: gatheringtest.NewMemory(), athlete: accounts, activity: activitytest.NewStore(),
		}, func(promise, format string, args ...any) {
			c.broken, c.texts = append(c.broken, promise), append(c.texts, promise+": "+fmt.Sprintf(format, args...))
		})
		c.client = &http.Client{
			Transport:     c.watchRefreshes(standin.InProcess(c.observe(c.server))),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		for _, n := range []strava.NewActivity{{Name: "one"}, {Name: "two", Start: time.Now().AddDate(0, -1, 0)}, {Name: "mine", Visibility: strava.OnlyMe, Start: time.Now().AddDate(-1, 0, 0)}} {
			_, err := c.server.AddActivity(ada, n)
			kittest.Must(t, err)
		}
		_, err := c.server.AddActivity(bo, strava.NewActivity{Name: "his"})
		kittest.Must(t, err)
		c.connect(ada, "read,activity:read_all,profile:read_all")
		c.gather(ada)
		c.checkHourly()
		c.checkAtRest()
		c.want()
		do(c)
	})
}

// want checks which promises were violated since the last call.
func (c *checked) want(promises ...string) {
	c.t.Helper()
	slices.Sort(c.broken)
	slices.Sort(promises)
	if !slices.Equal(slices.Compact(c.broken), promises) {
		c.t.Errorf("violated:\n%s\nwant %q", strings.Join(c.texts, "\n"), promises)
	}
	c.broken, c.texts = nil, nil
	clear(c.reported)
}

// call calls Strava and returns the status and the body; 0 without an answer.
func (c *checked) call(method, path, token string, form url.Values) (int, []byte) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(context.WithValue(c.t.Context(), callerKey{}, c.caller), method, "https://strava.test"+path, strings.NewReader(form.Encode()))
	kittest.Must(c.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	kittest.Must(c.t, err)
	if location := res.Header.Get("Location"); location != "" {
		return res.StatusCode, []byte(location)
	}
	return res.StatusCode, body
}

// exchange lets an athlete consent and exchanges the code.
func (c *checked) exchange(id int64, scope string) credentials.TokenPair {
	c.t.Helper()
	client, key := c.server.Client()
	q := url.Values{
		"client_id": {strconv.FormatInt(client, 10)}, "redirect_uri": {"https://paceline.test/oauth/callback"}, "response_type": {"code"},
		"scope": {scope}, "as_athlete": {strconv.FormatInt(id, 10)},
	}
	_, location := c.call("GET", "/oauth/authorize?"+q.Encode(), "", nil)
	back, err := url.Parse(string(location))
	kittest.Must(c.t, err)
	_, body := c.call("POST", "/oauth/token", "", url.Values{
		"client_id": q["client_id"], "client_secret": {key}, "grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
	})
	return pairOf(c.t, body)
}

// refresh presents a refresh token.
func (c *checked) refresh(token string) (int, []byte) {
	client, key := c.server.Client()
	return c.call("POST", "/oauth/token", "", url.Values{
		"client_id": {strconv.FormatInt(client, 10)}, "client_secret": {key}, "grant_type": {"refresh_token"}, "refresh_token": {token},
	})
}

func pairOf(t *testing.T, body []byte) credentials.TokenPair {
	t.Helper()
	var answer struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		ExpiresAt    int64  `json:"expires_at"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no tokens: %v", err)
	}
	return credentials.TokenPair{Access: secret.New(answer.AccessToken), Refresh: secret.New(answer.RefreshToken), ExpiresAt: time.Unix(answer.ExpiresAt, 0)}
}

// connect connects an athlete here and at Strava, as credentials does.
func (c *checked) connect(id int64, scope string) {
	c.t.Helper()
	c.save(id, c.exchange(id, scope))
	c.setGrant(id, func(g *credentials.Grant) {
		g.Generation, g.Since, g.State, g.Scopes = time.Now().UnixMilli(), time.Now().UnixMilli(), credentials.Active, splitScopes(scope)
	})
}

// save stores a pair and makes the grant refer to it.
func (c *checked) save(id int64, pair credentials.TokenPair) {
	c.t.Helper()
	account := credentials.Athlete(id)
	version, err := c.credentials.Vault.SaveTokens(c.t.Context(), account, 1, pair)
	kittest.Must(c.t, err)
	c.setGrant(id, func(g *credentials.Grant) { g.Tokens = credentials.TokenRef{Generation: 1, Version: version} })
}

func (c *checked) setGrant(id int64, change func(*credentials.Grant)) {
	c.t.Helper()
	_, err := c.credentials.Store.Update(c.t.Context(), credentials.Athlete(id), func(g *credentials.Grant) (bool, error) { change(g); return true, nil })
	kittest.Must(c.t, err)
}

// ports are the activity plane's, over its store.
func (c *checked) ports() activity.Ports {
	factory := event.Factory{Now: time.Now, NewID: func() string { return "id" }}
	return activity.Ports{WriteStore: c.invariants.activity, ReadStore: c.invariants.activity, Events: factory, Publisher: activitytest.NewPorts(time.Now).Bus}
}

// gather reads an athlete's history as gathering does, by one scan.
func (c *checked) gather(id int64) {
	c.t.Helper()
	g := c.grant(id)
	pair, _ := c.pair(g.Account, g.Tokens)
	forward := func(_ context.Context, r credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		q := url.Values{}
		for k, v := range r.Query {
			q.Set(k, v)
		}
		status, body := c.call("GET", "/api/v3"+r.Path+"?"+q.Encode(), pair.Access.Reveal(), nil)
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: status, Body: string(body)}, nil
	}
	by := gathering.Authorization{AthleteID: id, Generation: g.Generation}
	client := gatheringstrava.New(forward, time.Now)
	page, reading, err := client.Activities(c.t.Context(), by, gathering.PageRequest{To: time.Now().AddDate(1, 0, 0), Page: 1, PerPage: 200})
	kittest.Must(c.t, err)
	profile, _, err := client.Athlete(c.t.Context(), by)
	kittest.Must(c.t, err)
	recorder, ctx, scan := c.ports().Recorder(), c.t.Context(), strconv.FormatInt(time.Now().UnixMilli(), 10)
	meta := event.Meta{ID: "id", OccurredAt: time.Now()}
	began := reading.At.Add(-time.Millisecond)
	kittest.Must(c.t, recorder.AthleteAuthorized(ctx, meta, credentialsv1.AthleteAuthorized{AthleteID: id, Generation: g.Generation, Scopes: g.Scopes}))
	kittest.Must(c.t, recorder.ActivitiesGathered(ctx, meta, gatheringv1.ActivitiesGathered{
		AthleteID: id, Generation: g.Generation, ReadAt: reading.At, Activities: page.Activities, Chunk: &gatheringv1.ScanChunk{ScanID: scan},
	}))
	kittest.Must(c.t, recorder.ScanProgressed(ctx, meta, gatheringv1.ScanProgressed{
		AthleteID: id, Generation: g.Generation, ScanID: scan, Sequence: 1, State: gatheringv1.ScanCompleted, Chunks: 1, StartedAt: &began,
		Covered: []gatheringv1.Span{{}},
	}))
	c.setAccount(id, func(a *athlete.Account) {
		a.Profile, a.ProfileGeneration, a.ProfileReadAt = &profile, g.Generation, time.Now()
		a.Consent = &athlete.Consent{Generation: g.Generation, Scopes: g.Scopes}
	})
	c.setScan(id, func(a *gathering.Athlete) {
		a.Generation, a.State, a.Scan.State = g.Generation, gathering.Active, gatheringv1.ScanCompleted
	})
	_, err = c.gathering.Store.UpdateInbox(ctx, id, func(m *gathering.Inbox) (bool, error) { m.Generation = g.Generation; return true, nil })
	kittest.Must(c.t, err)
}

func (c *checked) setAccount(id int64, change func(*athlete.Account)) {
	c.t.Helper()
	_, err := c.athlete.Accounts.Update(c.t.Context(), id, func(a *athlete.Account) (bool, error) { change(a); return true, nil })
	kittest.Must(c.t, err)
}

func (c *checked) setScan(id int64, change func(*gathering.Athlete)) {
	c.t.Helper()
	_, err := c.gathering.Store.Update(c.t.Context(), id, func(a *gathering.Athlete) (bool, error) { change(a); return true, nil })
	kittest.Must(c.t, err)
}

func (c *checked) put(id int64, change func(*gatheringv1.Activity)) {
	c.t.Helper()
	time.Sleep(time.Second) // A later reading counts.
	r := c.records(id)[0]
	one := *r.Activity
	change(&one)
	kittest.Must(c.t, c.invariants.activity.Put(c.t.Context(), activity.Reading{
		By: activity.Authorization{AthleteID: id, Generation: r.Generation}, At: time.Now(), Activities: []gatheringv1.Activity{one},
	}))
}

// ended ends an athlete's authorization here, and leaves everything else.
func (c *checked) ended(id int64) {
	c.setGrant(id, func(g *credentials.Grant) {
		g.State, g.Tokens, g.Scopes = credentials.Erased, credentials.TokenRef{}, nil
	})
	kittest.Must(c.t, c.credentials.Vault.DeleteTokens(c.t.Context(), credentials.Athlete(id), 1))
}

func TestSecretsAreFound(t *testing.T) {
	whileChecked(t, func(c *checked) {
		g := c.grant(ada)
		pair, _ := c.pair(g.Account, g.Tokens)
		_, key := c.server.Client()
		c.inspect("a log", []byte("refreshed the tokens of athlete 70000001"))
		c.want()
		for what, text := range map[string]string{
			"access token": `{"token":"` + pair.Access.Reveal() + `"}`, "refresh token": "Bearer" + pair.Refresh.Reveal(),
			"client secret": key, "basic authentication": "Basic " + c.server.Secrets().BasicAuth,
			"code": c.server.Secrets().Codes[0], "polyline": strava.SyntheticPolyline, "latitude": "[-0.712345", "longitude": "-30.512345]",
			"member": `"start_latlng":[]`,
		} {
			c.inspect("a log", []byte(text))
			if len(c.broken) == 0 {
				t.Errorf("a %s is not found", what)
			}
			c.want(noLeaks)
		}
		key = `{"secret":"pck_70000001_` + strings.Repeat("KEY", 17) + `"}`
		c.answered(ada, "/v1/me/keys", 201, []byte(key))
		c.want()
		c.answered(ada, "/v1/me/keys", 200, []byte(key))
		c.want(noLeaks)
	})
}

func TestAnswersAreChecked(t *testing.T) {
	whileChecked(t, func(c *checked) {
		record := c.records(ada)[0]
		item := func(id int64, at time.Time) string {
			return fmt.Sprintf(`{"id":%d,"read_at":%q}`, id, at.UTC().Format(time.RFC3339Nano))
		}
		hers := item(record.Activity.ID, record.ReadAt)
		later := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
		his, _ := c.server.Activities(bo)
		c.connect(bo, "read,activity:read")
		c.gather(bo)
		for _, tc := range []struct {
			viewer     int64
			path, body string
			want       []string
		}{
			{ada, "/v1/me/activities?limit=9", `{"items":[` + hers + `],"next_cursor":null}`, nil},
			{ada, "/v1/me/activities/1", hers, nil},
			{ada, "/v1/me", `{"id":70000001,"firstname":"Ada"}`, nil},
			{ada, "/v1/me/stats", `{"periods":[{"count":1},{"count":2}],"total":{"count":3}}`, nil},
			{ada, "/v1/me/sync", `{"state":"current","gathered":3}`, nil},
			{ada, "/v1/me/sync", `{"state":"waiting","waiting_for":"rate_limit","resumes_at":"` + later(time.Minute) + `"}`, nil},

			{0, "/v1/me", `{}`, []string{ownDataOnly}},
			{ada, "/v1/me", `{"id":70000002}`, []string{ownDataOnly}},
			{ada, "/v1/me", `{"id":70000001,"firstname":"Bo"}`, []string{ownDataOnly}},
			{ada, "/v1/me/activities", `{"items":[{"id":` + strconv.FormatInt(his[0].ID, 10) + `}]}`, []string{ownDataOnly}},
			{bo, "/v1/me/activities", `id` + "\n" + strconv.FormatInt(record.Activity.ID, 10), []string{ownDataOnly}},
			{ada, "/v1/me/activities/1", item(record.Activity.ID, record.ReadAt.Add(-time.Hour)), []string{freshDataOnly}},
			{ada, "/v1/me/activities/1", item(record.Activity.ID, record.ReadAt.AddDate(0, 0, -8)), []string{freshDataOnly}},
			{ada, "/v1/me/activities/1", item(record.Activity.ID+99, record.ReadAt), []string{freshDataOnly}},
			{ada, "/v1/me/stats", `{"periods":[{"count":1}],"total":{"count":3}}`, []string{trueTotals}},
			{ada, "/v1/me/sync", `{"state":"current","gathered":4}`, []string{trueProgress}},
			{ada, "/v1/me/sync", `{"state":"current","waiting_for":"retry"}`, []string{trueProgress}},
			{ada, "/v1/me/sync", `{"state":"waiting","waiting_for":"sunshine"}`, []string{trueProgress}},
			{ada, "/v1/me/sync", `{"state":"waiting","waiting_for":"retry","resumes_at":"` + later(48*time.Hour) + `"}`, []string{trueProgress}},
		} {
			c.answered(tc.viewer, tc.path, 200, []byte(tc.body))
			if c.want(tc.want...); t.Failed() {
				t.Fatalf("%s to %d: %s", tc.path, tc.viewer, tc.body)
			}
		}
		time.Sleep(time.Hour)
		c.answered(ada, "/v1/me/sync", 200, []byte(`{"state":"waiting","waiting_for":"retry","resumes_at":"`+later(-time.Hour)+`"}`))
		c.want(trueProgress)
		c.answered(ada, "/v1/me/sync", 200, []byte(`{"state":"waiting","waiting_for":"reconnect"}`))
		c.want(trueProgress)
	})
}

func TestReceiptsAreChecked(t *testing.T) {
	whileChecked(t, func(c *checked) {
		const path = "/v1/erasures/receipt"
		done := time.Now().UTC()
		erased := fmt.Appendf(nil, `{"receipt":"receipt","state":"erased","requested_at":%q,"completed_at":%[1]q,"copies_gone_by":%q,"erased":[{"what":"profile","at":%[1]q}]}`,
			done.Format(time.RFC3339Nano), done.AddDate(0, 0, 7).Format(time.RFC3339Nano))
		generation := c.grant(ada).Generation
		c.setGrant(ada, func(g *credentials.Grant) {
			g.Completed = []credentials.CompletedRevocation{{Receipt: "receipt", Generation: generation - 1}}
		})
		c.answered(0, path, 200, erased)
		c.want()
		c.answered(0, path, 404, nil)
		c.want(trueReceipts)
		c.answered(0, path, 200, []byte(`{"state":"erased"}`))
		c.want(trueReceipts)
		c.setGrant(ada, func(g *credentials.Grant) { g.Completed[0].Generation = generation })
		c.answered(0, path, 200, erased)
		c.want(trueReceipts)
	})
}
