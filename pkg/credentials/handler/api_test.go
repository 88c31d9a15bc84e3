package handler_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/openapi"
)

// apiFixture is the routes of keys and sessions, behind the authorizer.
type apiFixture struct {
	*authorizerFixture
	document *openapi.Document
	routes   map[string]api.Handler
}

func newAPIFixture(t *testing.T) *apiFixture {
	d := &apiFixture{authorizerFixture: newAuthorizerFixture(t), document: openapi.MustLoad(t)}
	d.routes = (&handler.API{
		Keys: d.ports.Keys(), Sessions: d.ports.Sessions(),
		SiteURL: "https://paceline.example",
	}).Routes()
	return d
}

// call makes a call by the session, unless headers have a key, and has the
// answer checked against the document.
func (d *apiFixture) call(route, id, body string, headers map[string]string) api.Response {
	d.t.Helper()
	req := api.Request{
		RouteKey: route, PathParameters: map[string]string{"id": id}, Body: body,
		Headers: map[string]string{"content-type": "application/json"}, Cookies: []string{"__Host-paceline_session=" + d.session},
	}
	for name, value := range headers {
		req.Headers[name] = value
	}
	req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		Lambda: d.ask(events.APIGatewayV2CustomAuthorizerV2Request{RouteKey: route, Cookies: req.Cookies, Headers: req.Headers}),
	}
	res, err := api.Mux(d.Log, d.routes)(d.t.Context(), req)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.document.Check(req, res); err != nil {
		d.t.Error(err)
	}
	return res
}

type keyView struct {
	ID, Name, Secret string
	CreatedAt        time.Time  `json:"created_at"`
	ExpiresAt        *time.Time `json:"expires_at"`
	LastUsedOn       string     `json:"last_used_on"`
}

func (d *apiFixture) list() []keyView {
	d.t.Helper()
	res := d.call("GET /v1/me/keys", "", "", nil)
	var out struct{ Items []keyView }
	if err := json.Unmarshal([]byte(res.Body), &out); err != nil || res.StatusCode != 200 {
		d.t.Fatalf("%+v, %v", res, err)
	}
	return out.Items
}

func TestKeysAreMadeListedAndRevoked(t *testing.T) {
	d := newAPIFixture(t)
	had := d.list() // one of them expired a week ago
	if len(had) != 2 || had[1].Name != "watch" || had[1].LastUsedOn != "" || had[0].ExpiresAt == nil || had[1].ExpiresAt != nil {
		t.Fatalf("%+v", had)
	}
	d.now = d.now.Add(time.Minute)
	res := d.call("POST /v1/me/keys", "", `{"name":" Garage door ","expires_at":"2027-01-31T23:59:59.5+01:00"}`, nil)
	var made keyView
	if err := json.Unmarshal([]byte(res.Body), &made); err != nil || res.StatusCode != 201 || res.Headers["Cache-Control"] != "no-store" {
		t.Fatalf("%+v, %v", res, err)
	}
	if made.Name != "Garage door" || !strings.HasPrefix(made.Secret, "pck_42_") || !made.CreatedAt.Equal(d.now) ||
		!made.ExpiresAt.Equal(time.Date(2027, 1, 31, 22, 59, 59, 0, time.UTC)) || made.LastUsedOn != "" {
		t.Errorf("%+v", made)
	}
	used := d.ask(events.APIGatewayV2CustomAuthorizerV2Request{Headers: map[string]string{"authorization": "Bearer " + made.Secret}})
	if used["athlete_id"] != "42" {
		t.Errorf("%v", used)
	}
	all := d.list()
	if len(all) != len(had)+1 {
		t.Fatalf("%+v", all)
	}
	listed := all[len(all)-1]
	if listed.ID != made.ID || listed.Name != made.Name || listed.Secret != "" || listed.LastUsedOn != "2026-11-30" {
		t.Errorf("%+v", listed)
	}
	for _, want := range []int{204, 404} {
		if res := d.call("DELETE /v1/me/keys/{id}", made.ID, "", nil); res.StatusCode != want {
			t.Errorf("revoking: %d, want %d", res.StatusCode, want)
		}
	}
	if left := d.list(); len(left) != len(had) {
		t.Errorf("%+v", left)
	}
	if strings.Contains(d.log.String(), made.Secret) || strings.Contains(d.log.String(), "Garage") {
		t.Errorf("the log holds the key: %s", d.log.String())
	}
}

func TestKeysAreRefusedWithAReason(t *testing.T) {
	d := newAPIFixture(t)
	for name, tc := range map[string]struct {
		body    string
		headers map[string]string
		status  int
	}{
		"no body":             {"", nil, 400},
		"no object":           {"[]", nil, 400},
		"no name":             {"{}", nil, 400},
		"a name of numbers":   {`{"name":1}`, nil, 400},
		"a long name":         {`{"name":"` + strings.Repeat("a", 61) + `"}`, nil, 400},
		"an end that is none": {`{"name":"a","expires_at":"tomorrow"}`, nil, 400},
		"an end that is over": {`{"name":"a","expires_at":"2026-11-01T00:00:00Z"}`, nil, 400},
		"a long body":         {`{"name":"` + strings.Repeat("a", 1024) + `"}`, nil, 413},
		"no JSON":             {`{"name":"a"}`, map[string]string{"content-type": "text/plain"}, 415},
		"another site's page": {`{"name":"a"}`, map[string]string{"sec-fetch-site": "cross-site"}, 403},
		"another origin":      {`{"name":"a"}`, map[string]string{"origin": "https://evil.example"}, 403},
	} {
		if res := d.call("POST /v1/me/keys", "", tc.body, tc.headers); res.StatusCode != tc.status {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.Body)
		}
	}
	statuses := map[int]int{}
	for range 12 {
		statuses[d.call("POST /v1/me/keys", "", `{"name":"a","expires_at":null}`, nil).StatusCode]++
	}
	if statuses[201] != 9 || statuses[409] != 3 { // One was there.
		t.Errorf("%v", statuses)
	}
}

// TestAKeyManagesNothing: a leaked key can neither make nor list keys.
func TestAKeyManagesNothing(t *testing.T) {
	d := newAPIFixture(t)
	id := d.list()[0].ID
	byKey := map[string]string{"authorization": "Bearer " + d.key}
	for route := range d.routes {
		if res := d.call(route, id, `{"name":"a"}`, byKey); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", route, res.StatusCode)
		}
	}
	if got := d.ask(events.APIGatewayV2CustomAuthorizerV2Request{Headers: byKey}); got["key"] != "true" {
		t.Errorf("the key is gone: %v", got)
	}
}

func TestLogOutEverywhere(t *testing.T) {
	d := newAPIFixture(t)
	other, err := d.ports.Sessions().Open(t.Context(), credentials.Authorization{AthleteID: 42, Generation: 7})
	if err != nil {
		t.Fatal(err)
	}
	res := d.call("DELETE /v1/me/sessions", "", "", nil)
	if c := cookies(t, res)[sessionName]; res.StatusCode != 204 || c == nil || c.MaxAge >= 0 {
		t.Errorf("%+v", res)
	}
	for _, token := range []string{d.session, other.Reveal()} {
		_, err := d.Authenticator.Authenticate(t.Context(), credentials.SessionCredential, secret.New(token), true)
		if !errors.Is(err, credentials.ErrUnknownCredential) {
			t.Error(err)
		}
	}
	if got := d.ask(events.APIGatewayV2CustomAuthorizerV2Request{Headers: map[string]string{"authorization": "Bearer " + d.key}}); got["key"] != "true" {
		t.Errorf("the key: %v", got)
	}
}

// TestAKeyOfAnEndedAuthorizationIsNotMade: the authorizer has let the call pass,
// and then the authorization ends.
func TestAKeyOfAnEndedAuthorizationIsNotMade(t *testing.T) {
	d := newAPIFixture(t)
	req := api.Request{RouteKey: "POST /v1/me/keys", Body: `{"name":"a"}`, Headers: map[string]string{"content-type": "application/json"}}
	req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		Lambda: api.Identity{AthleteID: 42, Generation: 7}.Context(),
	}
	d.grant(credentials.Grant{State: credentials.Revoked, Generation: 7})
	res, err := api.Mux(d.Log, d.routes)(t.Context(), req)
	if err != nil || res.StatusCode != http.StatusUnauthorized || strings.Contains(res.Body, "pck_") {
		t.Errorf("%+v, %v", res, err)
	}
}
