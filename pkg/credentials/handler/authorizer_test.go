package handler_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// authorizerFixture is the authorizer over memory. Athlete 42 is connected.
type authorizerFixture struct {
	*handler.Authorizer
	t      *testing.T
	now    time.Time
	ports  credentials.Ports
	grants *credentialstest.Store
	store  *credentialstest.CredentialStore
	log    bytes.Buffer

	session, expired, key, expiredKey, revokedKey string
}

func newAuthorizerFixture(t *testing.T) *authorizerFixture {
	d := &authorizerFixture{t: t, now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	ports, memory := credentialstest.NewPorts(func() time.Time { return d.now })
	d.grants, d.store = memory.Store, memory.Credentials
	d.grant(credentials.Grant{State: credentials.Active, Generation: 7})
	ports.Log = slog.New(slog.NewTextHandler(&d.log, nil))
	d.ports = ports
	d.Authorizer = &handler.Authorizer{Authenticator: ports.Authenticator(), Log: ports.Log}
	sessions, keys := ports.Sessions(), ports.Keys()
	ann := credentials.Authorization{AthleteID: 42, Generation: 7}
	open := func() string {
		token, err := sessions.Open(t.Context(), ann)
		if err != nil {
			t.Fatal(err)
		}
		return token.Reveal()
	}
	create := func(end time.Time) (string, string) {
		key, token, err := keys.Create(t.Context(), ann, "watch", end)
		if err != nil {
			t.Fatal(err)
		}
		return key.ID(), token.Reveal()
	}
	d.expired = open()
	_, d.expiredKey = create(d.now.Add(time.Hour))
	d.now = d.now.Add(8 * 24 * time.Hour)
	d.session = open()
	_, d.key = create(time.Time{})
	id, revoked := create(time.Time{})
	if err := keys.Revoke(t.Context(), 42, id); err != nil {
		t.Fatal(err)
	}
	d.revokedKey = revoked
	return d
}

func (d *authorizerFixture) grant(to credentials.Grant) {
	d.t.Helper()
	if _, err := d.grants.Update(d.t.Context(), credentials.Athlete(42), func(g *credentials.Grant) (bool, error) {
		*g = to
		return true, nil
	}); err != nil {
		d.t.Fatal(err)
	}
}

func (d *authorizerFixture) ask(req events.APIGatewayV2CustomAuthorizerV2Request) map[string]any {
	d.t.Helper()
	if req.RouteKey == "" {
		req.RouteKey = "GET /v1/me"
	}
	res, err := d.Handle(d.t.Context(), req)
	if err != nil || !res.IsAuthorized {
		d.t.Fatalf("%+v %v", res, err)
	}
	return res.Context
}

func TestAuthorizerIdentifiesAndLetsPass(t *testing.T) {
	d := newAuthorizerFixture(t)
	const cookie = "__Host-paceline_session="
	bySession := map[string]any{"athlete_id": "42", "generation": "7", "key": "false"}
	byKey := map[string]any{"athlete_id": "42", "generation": "7", "key": "true"}
	refused := func(why string) map[string]any { return map[string]any{"refusal": why, "erasure": ""} }
	for name, tc := range map[string]struct {
		cookies []string
		header  string
		bearer  string
		want    map[string]any
	}{
		"a session":                       {cookies: []string{"x=1", cookie + d.session}, want: bySession},
		"in the header":                   {header: "x=1; " + cookie + d.session, want: bySession},
		"beside a malformed cookie":       {header: `prefs={"a":"b"}; ` + cookie + d.session, want: bySession},
		"beside others of its name":       {cookies: []string{cookie + "x", cookie + d.expired, cookie + d.session}, want: bySession},
		"after too many of its name":      {cookies: []string{cookie + "x", cookie + "y", cookie + "z", cookie + d.session}, want: refused("no-session")},
		"an expired session":              {cookies: []string{cookie + d.expired}, want: refused("no-session")},
		"without the prefix":              {cookies: []string{"paceline_session=" + d.session}, want: refused("no-session")},
		"a bad session":                   {cookies: []string{cookie + "bad"}, want: refused("no-session")},
		"no cookie":                       {want: refused("no-session")},
		"an empty session":                {cookies: []string{cookie}, want: refused("no-session")},
		"a key":                           {bearer: "Bearer " + d.key, want: byKey},
		"a key in other letters":          {bearer: "bearer  " + d.key, want: byKey},
		"a key beside a session":          {bearer: "Bearer " + d.key, cookies: []string{cookie + d.session}, want: byKey},
		"a bad key beside a session":      {bearer: "Bearer pck_x", cookies: []string{cookie + d.session}, want: refused("unknown-key")},
		"an expired key":                  {bearer: "Bearer " + d.expiredKey, want: refused("expired-key")},
		"a revoked key":                   {bearer: "Bearer " + d.revokedKey, want: refused("revoked-key")},
		"an empty key":                    {bearer: "Bearer ", want: refused("unknown-key")},
		"a session as a key":              {bearer: "Bearer " + d.session, want: refused("unknown-key")},
		"a key as a session":              {cookies: []string{cookie + d.key}, want: refused("no-session")},
		"another scheme beside a session": {bearer: "Basic eDp5", cookies: []string{cookie + d.session}, want: bySession},
	} {
		header := map[string]string{"cookie": tc.header}
		if tc.bearer != "" {
			header["authorization"] = tc.bearer
		}
		got := d.ask(events.APIGatewayV2CustomAuthorizerV2Request{Cookies: tc.cookies, Headers: header})
		if !maps.Equal(got, tc.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, secret := range []string{d.session, d.key, d.expiredKey} {
		if strings.Contains(d.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// TestAuthorizerDistinguishesOutagesFromRefusals: a client must not mistake a store
// that is down for the end of its session.
func TestAuthorizerDistinguishesOutagesFromRefusals(t *testing.T) {
	d := newAuthorizerFixture(t)
	for name, err := range map[string]error{"down": fault.New(fault.Transient, "down"), "odd": errors.New("odd"), "late": context.DeadlineExceeded} {
		d.store.Fail(err)
		for _, req := range []events.APIGatewayV2CustomAuthorizerV2Request{
			{Cookies: []string{"__Host-paceline_session=" + d.session}},
			{Cookies: []string{"__Host-paceline_session=bad", "__Host-paceline_session=" + d.session}},
			{Headers: map[string]string{"authorization": "Bearer " + d.key}},
		} {
			if got := d.ask(req); got["refusal"] != "try-again" || got["athlete_id"] != nil {
				t.Errorf("%s: %v", name, got)
			}
		}
		if got := d.ask(events.APIGatewayV2CustomAuthorizerV2Request{}); got["refusal"] != "no-session" {
			t.Errorf("%s, without a session: %v", name, got)
		}
	}
	if !strings.Contains(d.log.String(), "down") {
		t.Error("the outage is not logged")
	}
}

// failingFor is a store that fails for one secret.
type failingFor struct {
	credentials.CredentialStore
	hash string
}

// Credential implements [credentials.CredentialStore].
func (s failingFor) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	if hash == s.hash {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.Transient, "down")
	}
	return s.CredentialStore.Credential(ctx, athleteID, hash)
}

// TestAuthorizerTriesEachCookie: an ended one hides neither a valid one nor an
// outage; beside an unknown one, its receipt is returned.
func TestAuthorizerTriesEachCookie(t *testing.T) {
	d := newAuthorizerFixture(t)
	if err := d.ports.Sessions().EndAll(t.Context(), 42, 7, "r"); err != nil {
		t.Fatal(err)
	}
	d.Authenticator.Store = failingFor{d.store, secret.New("42_down").SHA256()}
	const cookie = "__Host-paceline_session="
	for name, tc := range map[string]struct {
		cookies []string
		refusal string
		erasure string
	}{
		"before a bad one": {[]string{cookie + d.session, cookie + "42_bad"}, "no-session", "r"},
		"after a bad one":  {[]string{cookie + "42_bad", cookie + d.session}, "no-session", "r"},
		"before an outage": {[]string{cookie + d.session, cookie + "42_down"}, "try-again", ""},
		"after an outage":  {[]string{cookie + "42_down", cookie + d.session}, "try-again", ""},
	} {
		got := d.ask(events.APIGatewayV2CustomAuthorizerV2Request{Cookies: tc.cookies})
		if !maps.Equal(got, map[string]any{"refusal": tc.refusal, "erasure": tc.erasure}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAuthorizerReturnsTheReceipt(t *testing.T) {
	d := newAuthorizerFixture(t)
	d.grant(credentials.Grant{State: credentials.Revoked, Generation: 7, Revocations: []credentials.PendingRevocation{{Receipt: "r", Generation: 7}}})
	for refusal, req := range map[string]events.APIGatewayV2CustomAuthorizerV2Request{
		"no-session":  {Cookies: []string{"__Host-paceline_session=" + d.session}},
		"revoked-key": {Headers: map[string]string{"authorization": "Bearer " + d.key}},
	} {
		if got := d.ask(req); !maps.Equal(got, map[string]any{"refusal": refusal, "erasure": "r"}) {
			t.Errorf("%v", got)
		}
	}
}

func TestAuthorizerReadsAgainForChanges(t *testing.T) {
	d := newAuthorizerFixture(t)
	req := events.APIGatewayV2CustomAuthorizerV2Request{Cookies: []string{"__Host-paceline_session=" + d.session}}
	d.ask(req)
	d.grant(credentials.Grant{State: credentials.Active, Generation: 9, Since: 7}) // signed in elsewhere
	for route, generation := range map[string]string{"POST /v1/me/sync": "9", "DELETE /v1/me": "9"} {
		req.RouteKey = route
		if got := d.ask(req); got["generation"] != generation {
			t.Errorf("%s: %v", route, got)
		}
	}
	d.ask(events.APIGatewayV2CustomAuthorizerV2Request{Cookies: req.Cookies})
	d.grant(credentials.Grant{State: credentials.Erased, Generation: 9})
	req.RouteKey = "GET /v1/me"
	if got := d.ask(req); got["athlete_id"] != "42" {
		t.Errorf("what was read just now: %v", got)
	}
	req.RouteKey = "DELETE /v1/me"
	if got := d.ask(req); got["athlete_id"] != nil {
		t.Errorf("a change after the end: %v", got)
	}
	d.now = d.now.Add(30 * time.Second)
	req.RouteKey = "GET /v1/me"
	if got := d.ask(req); got["athlete_id"] != nil {
		t.Errorf("30 s after the end: %v", got)
	}
}
