package handler_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/test/openapi"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	now   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

type plane struct {
	t         *testing.T
	document  *openapi.Document
	now       time.Time
	ports     athlete.Ports
	service   *athlete.Service
	api       func(context.Context, api.Request) (api.Response, error)
	consume   func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)
	published []event.Event
	refuse    error
}

func (p *plane) Publish(_ context.Context, events ...event.Event) error {
	p.published = append(p.published, events...)
	return p.refuse
}

func newPlane(t *testing.T) *plane {
	p := &plane{t: t, document: openapi.MustLoad(t), now: now}
	p.ports, _ = athletetest.NewPorts(func() time.Time { return p.now })
	p.ports.Publisher, p.ports.NewReceipt = p, func() string { return "unguessable" }
	p.service = p.ports.Service()
	p.api = api.Mux(quiet, handler.APIRoutes(p.service, "https://paceline.example"))
	p.consume = consume.Handler(quiet, handler.EventRoutes(p.service)...)
	return p
}

// as makes the session another one.
func as(athleteID, generation int64) func(*api.Request) {
	return func(r *api.Request) {
		r.RequestContext.Authorizer.Lambda = api.Identity{AthleteID: athleteID, Generation: generation}.Context()
	}
}

func noSession(r *api.Request) { r.RequestContext.Authorizer = nil }

func receipt(s string) func(*api.Request) {
	return func(r *api.Request) { r.PathParameters = map[string]string{"receipt": s} }
}

// query adds a parameter.
func query(name, value string) func(*api.Request) {
	return func(r *api.Request) { r.QueryStringParameters = map[string]string{name: value} }
}

func header(name, value string) func(*api.Request) {
	return func(r *api.Request) { r.Headers[name] = value }
}

// expect sends the recorded request, changed, and compares the answer's body
// unless want is empty.
func (p *plane) expect(route string, status int, want string, change ...func(*api.Request)) api.Response {
	p.t.Helper()
	b, err := os.ReadFile("testdata/request.json")
	if err != nil {
		p.t.Fatal(err)
	}
	var req api.Request
	if err := json.Unmarshal(b, &req); err != nil {
		p.t.Fatal(err)
	}
	req.RouteKey = route
	for _, c := range change {
		c(&req)
	}
	res, err := p.api(p.t.Context(), req)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode != status || want != "" && res.Body != want {
		p.t.Errorf("%s: %d %s, want %d %s", route, res.StatusCode, res.Body, status, want)
	}
	if err := p.document.Check(req, res); err != nil {
		p.t.Error(err)
	}
	return res
}

// receive takes in the sample of a contract.
func (p *plane) receive(sample string) {
	p.t.Helper()
	body, err := os.ReadFile("../../event/" + sample)
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := p.consume(p.t.Context(), events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: string(body)}}})
	if err != nil || len(out.BatchItemFailures) > 0 {
		p.t.Fatalf("%s: %v %v", sample, out, err)
	}
}

const (
	me     = "GET /v1/me"
	leave  = "DELETE /v1/me"
	export = "GET /v1/me/export"
	gather = "POST /v1/me/sync"
	state  = "GET /v1/erasures/{receipt}"

	// The athlete, generation and receipt of the contracts' samples.
	athleteID     int64 = 4242424
	generation    int64 = 1795175000123
	sampleReceipt       = "q3Zt9oV1mXcR7yLwKd2uH5sBf0aNgJePiTzCxE8vQ4M"
)

func TestProfileFromEventToAnswer(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	p.expect(me, http.StatusOK, `{"id":4242424}`, session)
	p.receive("gatheringv1/testdata/AthleteGathered.json")
	p.expect(me, http.StatusOK, `{"id":4242424,"username":"synthetic_rider","firstname":"Synthetic","lastname":"Rider",`+
		`"profile_medium":"https://example.org/avatar/medium.png","profile":"https://example.org/avatar/large.png","created_at":"2014-05-01T08:00:00Z"}`, session)
	p.expect(me, http.StatusOK, `{"id":1}`)

	p.receive("credentialsv1/testdata/AuthorizationRevoked.json")
	for _, route := range []string{me, leave, export, gather} {
		for _, session := range []func(*api.Request){session, as(athleteID, generation-1)} {
			p.expect(route, http.StatusUnauthorized, fmt.Sprintf(`{"type":"/problems.html#no-session","title":"Unauthorized","status":401,`+
				`"detail":"There is no session, or it has ended. Connect with Strava to open one.","erasure":"/v1/erasures/%s"}`, sampleReceipt), session)
		}
	}
	p.expect(me, http.StatusOK, `{"id":4242424}`, as(athleteID, generation+1))
	if len(p.published) > 0 {
		t.Errorf("published %+v", p.published)
	}

	for _, sample := range []string{
		"credentialsv1/testdata/ErasureCompleted.own.json", "credentialsv1/testdata/ErasureCompleted.json",
		"gatheringv1/testdata/ErasureCompleted.json", "activityv1/testdata/ErasureCompleted.json",
	} {
		p.expect(state, http.StatusOK, fmt.Sprintf(`{"receipt":%q,"state":"requested","requested_at":"2026-11-20T11:59:59.5Z"}`, sampleReceipt),
			noSession, receipt(sampleReceipt))
		p.receive(sample)
	}
	p.expect(state, http.StatusOK, fmt.Sprintf(`{"receipt":%q,"state":"erased","requested_at":"2026-11-20T11:59:59.5Z","completed_at":"2026-11-20T12:00:00.123Z",`+
		`"erased":[{"what":"profile","at":"2026-11-20T12:00:00Z"},{"what":"activities","at":"2026-11-20T12:00:00.123Z"},`+
		`{"what":"authorization","at":"2026-11-20T12:00:00.123Z"},{"what":"linked_account","at":"2026-11-20T12:00:00.123Z"},`+
		`{"what":"pending_work","at":"2026-11-20T12:00:00.123Z"}],"copies_gone_by":"2026-11-27T12:00:00.123Z"}`, sampleReceipt),
		noSession, receipt(sampleReceipt))
}

func TestAuthorizationFromEventToAnswer(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	const since = `"authorized_at":"2026-11-20T11:43:20.123Z"`
	p.receive("credentialsv1/testdata/AthleteAuthorized.json")
	p.expect(me, http.StatusOK, `{"id":4242424,"authorization":{"state":"active",`+since+`,"scopes":["read","activity:read","activity:read_all"]}}`, session)
	p.receive("credentialsv1/testdata/AuthorizationDegraded.json")
	p.expect(me, http.StatusOK, `{"authorization":{"state":"degraded",`+since+`,"scopes":["read","activity:read","activity:read_all"]}}`,
		session, query("fields", "authorization"))
	p.expect(me, http.StatusOK, `{"id":1}`)
	p.receive("credentialsv1/testdata/AuthorizationRevoked.json")
	p.expect(me, http.StatusOK, `{"id":4242424}`, as(athleteID, generation+1))

	p = newPlane(t)
	p.receive("credentialsv1/testdata/AuthorizationDegraded.json") // It degraded before AthleteAuthorized was published.
	p.expect(me, http.StatusOK, `{"id":4242424,"authorization":{"state":"degraded",`+since+`}}`, session)
	p.expect(export, http.StatusOK, "", session)
}

func TestLeave(t *testing.T) {
	p := newPlane(t)
	p.refuse = fault.New(fault.Transient, "the bus is away")
	p.expect(leave, http.StatusServiceUnavailable, "")
	p.refuse = nil
	const accepted = `{"receipt":"unguessable","status_url":"/v1/erasures/unguessable"}`
	p.expect(leave, http.StatusAccepted, accepted)
	p.expect(leave, http.StatusAccepted, accepted)
	if len(p.published) != 3 {
		t.Errorf("published %d times", len(p.published))
	}
	p.expect(state, http.StatusOK, `{"receipt":"unguessable","state":"requested","requested_at":"2026-11-20T12:00:00Z"}`, noSession, receipt("unguessable"))
	for _, unknown := range []string{"", "unguessabl", "unguessable2", "athlete#1", strings.Repeat("x", 5000)} {
		p.expect(state, http.StatusNotFound, "", noSession, receipt(unknown))
	}
}

func TestFields(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	p.receive("gatheringv1/testdata/AthleteGathered.json")
	p.expect(me, http.StatusOK, `{"firstname":"Synthetic","id":4242424}`, session, query("fields", "id,firstname"))
	p.expect(me, http.StatusBadRequest, "", session, query("fields", ""))
	p.expect(me, http.StatusBadRequest, "", session, query("fields", "id,password"))
}

func TestConditionalRequests(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	first := p.expect(me, http.StatusOK, "", session)
	p.expect(me, http.StatusNotModified, "", session, header("if-none-match", first.Headers["ETag"]))
	p.receive("gatheringv1/testdata/AthleteGathered.json")
	p.expect(me, http.StatusOK, "", session, header("if-none-match", first.Headers["ETag"]))
}

func TestExport(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	const parts = `"parts":[{"name":"activities","type":"application/json","href":"/v1/me/activities?limit=200"},` +
		`{"name":"activities","type":"text/csv","href":"/v1/me/activities?limit=200\u0026format=csv"},` +
		`{"name":"totals","type":"application/json","href":"/v1/me/stats?by=month"},` +
		`{"name":"gathering","type":"application/json","href":"/v1/me/sync"},` +
		`{"name":"keys","type":"application/json","href":"/v1/me/keys"}],` +
		`"withheld":[{"what":"access and refresh tokens of Strava and of linked accounts","reason":"They give access to the accounts."},` +
		`{"what":"digests of sessions and keys, and the day of a session's last use","reason":"They only recognize your browsers and programs."},` +
		`{"what":"ids of activities that were deleted or hidden, for 7 days","reason":"They keep late messages from bringing one back."},` +
		`{"what":"ids and times of webhook events that wait","reason":"Each is a hint to read an activity, which is among the activities then."},` +
		`{"what":"digests of webhook events, for 3 days","reason":"They only recognize an event that arrives again."},` +
		`{"what":"the progress of reading the history, in counts and times","reason":"The part called gathering sums it up."}]}`
	p.expect(export, http.StatusOK, `{"athlete_id":4242424,"authorization":null,"linked_accounts":[],"profile":null,"profile_read_at":null,`+
		`"refresh_asked_at":null,"leaving":null,`+parts, session)

	p.receive("credentialsv1/testdata/AthleteAuthorized.json")
	p.receive("gatheringv1/testdata/AthleteGathered.json")
	p.receive("credentialsv1/testdata/AccountLinked.json")
	p.expect(gather, http.StatusAccepted, "", session)
	p.expect(leave, http.StatusAccepted, "", session)
	p.expect(export, http.StatusOK, `{"athlete_id":4242424,`+
		`"authorization":{"state":"active","authorized_at":"2026-11-20T11:43:20.123Z","scopes":["read","activity:read","activity:read_all"]},`+
		`"linked_accounts":[{"provider":"fitbit","account_id":"GGNJL9","linked_at":"2026-11-20T12:00:00.456Z"}],`+
		`"profile":{"id":4242424,"username":"synthetic_rider","firstname":"Synthetic","lastname":"Rider",`+
		`"profile_medium":"https://example.org/avatar/medium.png","profile":"https://example.org/avatar/large.png","created_at":"2014-05-01T08:00:00Z"},`+
		`"profile_read_at":"2026-11-20T12:00:00.123Z","refresh_asked_at":"2026-11-20T12:00:00Z",`+
		`"leaving":{"receipt":"unguessable","status_url":"/v1/erasures/unguessable"},`+parts, session)

	// The authorization ended in another way, and the athlete is back. The request is
	// still pending, but not for the new authorization.
	p.receive("credentialsv1/testdata/AuthorizationRevoked.deauthorized.json")
	res := p.expect(export, http.StatusOK, "", as(athleteID, generation+1))
	if !strings.Contains(res.Body, `"leaving":null`) {
		t.Errorf("back again: %s", res.Body)
	}
}

func TestLinkedAccountFromEventToAnswer(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	p.receive("credentialsv1/testdata/AccountLinked.json")
	p.expect("GET /v1/me", http.StatusOK,
		`{"id":4242424,"linked_accounts":[{"provider":"fitbit","account_id":"GGNJL9","linked_at":"2026-11-20T12:00:00.456Z"}]}`, session)
	p.receive("credentialsv1/testdata/AccountUnlinked.json")
	p.expect("GET /v1/me", http.StatusOK, `{"id":4242424}`, session)
}

// TestTheReceiptOfALink does not say that more was erased than the link.
func TestTheReceiptOfALink(t *testing.T) {
	p := newPlane(t)
	p.receive("credentialsv1/testdata/AccountUnlinked.json")
	p.receive("credentialsv1/testdata/ErasureCompleted.json")
	res := p.expect("GET /v1/erasures/{receipt}", http.StatusOK, "", receipt(sampleReceipt))
	if !strings.Contains(res.Body, `"erased":[{"what":"link","at":"2026-11-20T12:00:00Z"},{"what":"linked_account","at":"2026-11-20T12:00:00.123Z"}]`) {
		t.Error(res.Body)
	}
}

func TestGatherRequest(t *testing.T) {
	p := newPlane(t)
	session := as(athleteID, generation)
	p.refuse = fault.New(fault.Transient, "the bus is away")
	p.expect(gather, http.StatusServiceUnavailable, "", session)
	p.refuse, p.published = nil, nil
	p.expect(gather, http.StatusAccepted, `{"requested_at":"2026-11-20T12:00:00Z","status_url":"/v1/me/sync"}`, session)
	p.now = now.Add(time.Minute + time.Millisecond)
	if res := p.expect(gather, http.StatusTooManyRequests, "", session); res.Headers["Retry-After"] != "840" {
		t.Errorf("Retry-After %s", res.Headers["Retry-After"])
	}
	p.expect(gather, http.StatusAccepted, "", as(athleteID+1, generation))
	p.now = now.Add(15 * time.Minute)
	p.expect(gather, http.StatusAccepted, "", session)
	if len(p.published) != 3 || p.published[0].Fact.DetailType() != "GatherRequested.v1" {
		t.Errorf("published %+v", p.published)
	}
}

func TestAnotherSitesPageChangesNothing(t *testing.T) {
	p := newPlane(t)
	for _, route := range []string{leave, gather} {
		p.expect(route, http.StatusForbidden, "", header("sec-fetch-site", "cross-site"))
		p.expect(route, http.StatusForbidden, "", header("origin", "https://evil.example"))
	}
	if len(p.published) != 0 {
		t.Errorf("published %+v", p.published)
	}
	p.expect(me, http.StatusOK, "", header("sec-fetch-site", "cross-site")) // a link to it
	p.expect(leave, http.StatusAccepted, "", header("origin", "https://paceline.example"))
}

func TestDeadlinesAreCounted(t *testing.T) {
	var out bytes.Buffer
	p := newPlane(t)
	for range 2 {
		deadlines := p.ports.Deadlines()
		m := emf.New(&out, time.Now, "ns", "stage")
		if _, err := emf.Flushing(m, handler.EnforceDeadlines(deadlines, m))(t.Context(), struct{}{}); err != nil {
			t.Fatal(err)
		}
		_, err := p.ports.Accounts.Update(t.Context(), 1, func(a *athlete.Account) (bool, error) {
			a.Profile, a.ProfileReadAt = &gatheringv1.Athlete{ID: 1}, now.Add(-8*24*time.Hour)
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		mustOpen(t, p.ports, "r", now.Add(-time.Hour))
	}
	first, second, _ := strings.Cut(out.String(), "\n")
	for line, want := range map[string]string{first: `"ErasuresCompleted":0,"ErasuresOverdue":0,"ErasuresPending":0,"KeptTooLong":0,`, second: `"ErasuresCompleted":0,"ErasuresOverdue":1,"ErasuresPending":1,"KeptTooLong":1,`} {
		if !strings.Contains(line, want) {
			t.Errorf("%s has no %s", line, want)
		}
	}
}

// mustOpen stores an erasure that was asked for.
func mustOpen(t *testing.T, p athlete.Ports, receipt string, requestedAt time.Time) {
	t.Helper()
	_, err := p.Erasures.Update(t.Context(), receipt, func(e *athlete.Erasure) (bool, error) {
		e.RequestedAt = requestedAt
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestErasuresAreCountedForAnAdmin(t *testing.T) {
	p := newPlane(t)
	mustOpen(t, p.ports, "r", now.Add(-time.Hour))
	count := handler.CountErasures(p.ports.ErasureCounter())
	got, err := count(t.Context(), handler.CountErasuresRequest{Receipts: []handler.ReceiptView{{"r", now}, {"unknown", now}}})
	if want := (handler.ErasuresView{Pending: 2, Overdue: 1}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestRequestsWithoutASessionAreRefused(t *testing.T) {
	p := newPlane(t)
	for _, route := range []string{me, leave, export, gather} {
		p.expect(route, http.StatusUnauthorized, "", noSession)
	}
	if len(p.published) != 0 {
		t.Errorf("published %+v", p.published)
	}
}
