package lambdain_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/athlete/lambdain"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

var (
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
	now   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
)

type plane struct {
	t         *testing.T
	api       func(context.Context, httpapi.Request) (httpapi.Response, error)
	consume   func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)
	published []event.Event
	refuse    error
}

func (p *plane) Publish(_ context.Context, events ...event.Event) error {
	p.published = append(p.published, events...)
	return p.refuse
}

func newPlane(t *testing.T) *plane {
	p := &plane{t: t}
	store := athletetest.NewStore()
	service := &athlete.Service{
		Accounts: store, Erasures: store, Publisher: p,
		Minter:     event.Minter{Now: func() time.Time { return now }, NewID: func() string { return "id" }},
		NewReceipt: func() string { return "unguessable" },
	}
	p.api = httpapi.Mux(quiet, lambdain.APIRoutes(service, "https://paceline.example"))
	p.consume = consume.Handler(quiet, lambdain.EventRoutes(service)...)
	return p
}

// as makes the session another one.
func as(athleteID, generation int64) func(*httpapi.Request) {
	return func(r *httpapi.Request) {
		r.RequestContext.Authorizer.Lambda = httpapi.Identity{AthleteID: athleteID, Generation: generation}.Context()
	}
}

func nobody(r *httpapi.Request) { r.RequestContext.Authorizer = nil }

func receipt(s string) func(*httpapi.Request) {
	return func(r *httpapi.Request) { r.PathParameters = map[string]string{"receipt": s} }
}

// expect sends the recorded request, changed, and compares the answer's body
// unless want is empty.
func (p *plane) expect(route string, status int, want string, change ...func(*httpapi.Request)) {
	p.t.Helper()
	b, err := os.ReadFile("testdata/request.json")
	if err != nil {
		p.t.Fatal(err)
	}
	var req httpapi.Request
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
	if status >= 400 && res.Headers["Content-Type"] != "application/problem+json" {
		p.t.Errorf("%s: %s", route, res.Headers["Content-Type"])
	}
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
	me    = "GET /v1/me"
	leave = "DELETE /v1/me"
	state = "GET /v1/erasures/{receipt}"

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
	p.expect(me, http.StatusUnauthorized, "", session)
	p.expect(leave, http.StatusUnauthorized, "", session)
	p.expect(me, http.StatusOK, `{"id":4242424}`, as(athleteID, generation+1))
	if len(p.published) != 1 || p.published[0].Fact.DetailType() != "ErasureCompleted.v1" {
		t.Errorf("published %+v", p.published)
	}

	p.expect(state, http.StatusNotFound, "", nobody, receipt(sampleReceipt))
	p.receive("credentialsv1/testdata/ErasureReceiptIssued.json")
	p.expect(state, http.StatusOK, fmt.Sprintf(`{"receipt":%q,"state":"erased","requested_at":"2026-11-20T12:00:00Z","completed_at":"2026-11-20T12:00:07.5Z"}`, sampleReceipt),
		nobody, receipt(sampleReceipt))
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
	p.expect(state, http.StatusOK, `{"receipt":"unguessable","state":"requested","requested_at":"2026-11-20T12:00:00Z"}`, nobody, receipt("unguessable"))
	for _, unknown := range []string{"", "unguessabl", "unguessable2", "athlete#1", strings.Repeat("x", 5000)} {
		p.expect(state, http.StatusNotFound, "", nobody, receipt(unknown))
	}
}

func TestWithoutASessionThereIsNobody(t *testing.T) {
	p := newPlane(t)
	p.expect(me, http.StatusUnauthorized, "", nobody)
	p.expect(leave, http.StatusUnauthorized, "", nobody)
	if len(p.published) != 0 {
		t.Errorf("published %+v", p.published)
	}
}
