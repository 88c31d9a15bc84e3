package openapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	activitylambda "github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	athletelambda "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	fitbitapi "github.com/paceline/paceline/pkg/credentials/fitbit"
	credentialslambda "github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/fitbit"
	"github.com/paceline/paceline/test/openapi"
)

const siteURL = "https://paceline.example"

// The athletes. Ada and Bob are connected; Eve has left.
const (
	ada int64 = 71_000_001
	bob int64 = 72_000_002
	eve int64 = 73_000_003
)

// now is the time of all events, generation the generation of every authorization.
var (
	now        = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	generation = now.Add(-24 * time.Hour).UnixMilli()
)

// activitiesEach is the number of activities of each athlete.
const activitiesEach = 60

// system serves the whole HTTP API from memory, behind the real authorizer.
type system struct {
	t          *testing.T
	document   *openapi.Document
	routes     map[string]api.Handler
	serve      func(context.Context, api.Request) (api.Response, error)
	authorizer *credentialslambda.Authorizer
	store      *credentialstest.CredentialStore
	// ports are those of sessions and keys.
	ports credentials.Ports
	// now is the time for sessions and keys.
	now time.Time
	// sessions and byKey have the cookie and the key of each athlete. Eve's are from
	// before she left.
	sessions, byKey map[int64]string
	waitlist        *credentials.Waitlist
	bus             *eventtest.Bus
	// fitbit sends requests to the stand-in for Fitbit.
	fitbit   *http.Client
	recorder *activity.Recorder
}

func newSystem(t *testing.T) *system {
	s := &system{t: t, document: openapi.MustLoad(t), now: now, sessions: map[int64]string{}, byKey: map[int64]string{}, bus: &eventtest.Bus{}}
	clock := func() time.Time { return now }
	plane, _ := athletetest.NewPorts(clock)
	plane.Publisher, plane.NewReceipt = s.bus, startup.NewSecret
	athletes := plane.Service()
	activities := activitytest.NewPorts(clock)
	activities.Publisher = s.bus
	s.recorder = activities.Recorder()
	unreachable := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, fault.New(fault.Transient, "Strava is unreachable")
	})}
	log := slog.New(slog.DiscardHandler)
	ports, memory := credentialstest.NewPorts(clock)
	kittest.Must(t, memory.Vault.SaveApp(t.Context(), credentials.ProviderStrava, credentials.App{ClientID: "1", ClientSecret: secret.New("s")}))
	s.store, ports.Publisher = memory.Credentials, s.bus
	ports.OAuth = provider.NewOAuth(unreachable, provider.Strava("http://strava.test/oauth", "revoke"), clock)
	ports.RedirectURI = siteURL + "/oauth/callback"
	s.ports = ports
	s.ports.Events.Now = s.clock
	sessions := s.ports.Sessions()
	// The capacity has free places; the waitlist's own capacity has none.
	full := ports.Capacity()
	full.Athletes = 0
	s.waitlist = ports.Waitlist(full)
	oauth := &credentialslambda.OAuth{
		Connect: ports.Connect(), Sessions: sessions, Authenticator: s.ports.Authenticator(), Waitlist: s.waitlist, SiteURL: siteURL, Log: log,
	}
	s.routes = map[string]api.Handler{}
	for _, boundary := range []map[string]api.Handler{
		athletelambda.APIRoutes(athletes, siteURL),
		activitylambda.APIRoutes(activities.Reader()),
		oauth.Routes(),
		s.links(ports, memory.Vault).Routes(),
		(&credentialslambda.API{Keys: s.keys(), Sessions: sessions, SiteURL: siteURL}).Routes(),
	} {
		for key := range boundary {
			if s.routes[key] != nil {
				t.Errorf("two boundaries serve %s", key)
			}
		}
		maps.Copy(s.routes, boundary)
	}
	s.serve = api.Mux(log, s.routes)
	s.authorizer = &credentialslambda.Authorizer{
		Authenticator: s.ports.Authenticator(), Log: log,
	}

	for i, id := range []int64{ada, bob, eve} {
		s.seed(athletes, memory.Store, id, i)
	}
	s.revoke(athletes, memory.Store, sessions, eve)
	s.link(ada)
	return s
}

// seed connects an athlete and stores a profile, activities, a session and a key.
// n spreads the activities of different athletes over time.
func (s *system) seed(athletes *athlete.Service, grants *credentialstest.Store, id int64, n int) {
	s.t.Helper()
	ctx, meta := s.t.Context(), event.Meta{ID: "m", OccurredAt: now, CorrelationID: "c"}
	kittest.Must(s.t, athletes.AthleteAuthorized(ctx, meta, credentialsv1.AthleteAuthorized{
		AthleteID: id, Generation: generation, Scopes: []string{"read", mark(id)},
	}))
	kittest.Must(s.t, athletes.AthleteGathered(ctx, meta, gatheringv1.AthleteGathered{
		AthleteID: id, Generation: generation, ReadAt: now, Athlete: gatheringv1.Athlete{ID: id, Firstname: mark(id)},
	}))
	gathered := gatheringv1.ActivitiesGathered{AthleteID: id, Generation: generation, ReadAt: now}
	for i := range activitiesEach {
		one := activitytest.Activity(id*100+int64(i), 1000*n+i/3, fmt.Sprintf("%s %d", mark(id), i))
		one.SportType = []string{"Run", "Ride", mark(id)}[i%3]
		gathered.Activities = append(gathered.Activities, one)
	}
	kittest.Must(s.t, s.recorder.ActivitiesGathered(ctx, meta, gathered))
	_, err := grants.Update(ctx, credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation, g.Since, g.Tokens = credentials.Active, generation, generation, credentials.TokenRef{Version: 1}
		return true, nil
	})
	kittest.Must(s.t, err)
	s.sessions[id] = s.open(credentials.Authorization{AthleteID: id, Generation: generation})
	_, s.byKey[id] = s.newKey(id, time.Time{})
}

// revoke ends an athlete's authorization and erases their data.
func (s *system) revoke(athletes *athlete.Service, grants *credentialstest.Store, sessions *credentials.Sessions, id int64) {
	s.t.Helper()
	ctx, meta := s.t.Context(), event.Meta{ID: "m", OccurredAt: now, CorrelationID: "c"}
	_, err := grants.Update(ctx, credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
		*g = credentials.Grant{Account: g.Account, State: credentials.Erased, Generation: generation}
		return true, nil
	})
	kittest.Must(s.t, err)
	kittest.Must(s.t, sessions.EndAll(ctx, id, generation, receiptOf(id)))
	gone := credentialsv1.AuthorizationRevoked{AthleteID: id, Generation: generation, Receipt: receiptOf(id), RequestedAt: now}
	kittest.Must(s.t, athletes.AuthorizationRevoked(ctx, meta, gone))
	kittest.Must(s.t, s.recorder.AuthorizationRevoked(ctx, meta, gone))
}

// links serves linked accounts, with the stand-in for Fitbit.
func (s *system) links(ports credentials.Ports, vault credentials.Vault) *credentialslambda.Links {
	standIn := fitbit.New(fitbit.Config{Now: ports.Events.Now, HourlyLimit: 1_000_000, Users: []fitbit.User{{ID: "GGNJL9", DisplayName: mark(ada)}}})
	s.t.Cleanup(standIn.Close)
	id, key := standIn.Client()
	kittest.Must(s.t, vault.SaveApp(s.t.Context(), provider.NameFitbit, credentials.App{ClientID: id, ClientSecret: secret.New(key)}))
	s.fitbit = &http.Client{Transport: standin.InProcess(standIn), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ports.OAuth = provider.NewOAuth(s.fitbit, provider.Fitbit("http://fitbit.test", "http://fitbit.test"), ports.Events.Now)
	ports.API, ports.ReadToday = fitbitapi.NewAPI(s.fitbit, "http://fitbit.test"), fitbitapi.ReadToday
	ports.Counter, ports.RedirectURI = nil, "http://localhost/oauth/fitbit/callback"
	return &credentialslambda.Links{
		Provider: provider.NameFitbit, Connect: ports.Connect(), Service: ports.Links(ports.Tokens()), SiteURL: siteURL, Log: ports.Log,
	}
}

// link links an athlete's account at Fitbit through the API.
func (s *system) link(athleteID int64) {
	s.t.Helper()
	path := map[string]string{"provider": "fitbit"}
	_, connect := s.send(call{route: "GET /oauth/{provider}/connect", path: path, cookie: s.session(athleteID)})
	answer, err := s.fitbit.Get(connect.Headers["Location"] + "&as_user=GGNJL9")
	kittest.Must(s.t, err)
	back, err := answer.Location()
	kittest.Must(s.t, err)
	nonce, _, _ := strings.Cut(connect.Cookies[0], ";")
	_, res := s.send(call{
		route: "GET /oauth/{provider}/callback", path: path, cookie: nonce,
		query: map[string]string{"state": back.Query().Get("state"), "code": back.Query().Get("code")},
	})
	if res.Headers["Location"] != "/" {
		s.t.Fatalf("linking redirects to %s", res.Headers["Location"])
	}
}

// sessionCookie is the start of a session cookie.
const sessionCookie = "__Host-paceline_session="

// mark returns a text that occurs in all data of an athlete and in no other data.
func mark(athleteID int64) string { return fmt.Sprintf("mark-of-%d", athleteID) }

func receiptOf(athleteID int64) string { return fmt.Sprintf("receipt-of-%d", athleteID*7) }

// call is a call of an operation.
type call struct {
	route   string
	path    map[string]string
	query   map[string]string
	headers map[string]string
	cookie  string
	key     string
	body    string
	base64  bool
}

// send acts as API Gateway: it invokes the authorizer for routes that need a
// session and then calls the route.
func (s *system) send(c call) (api.Request, api.Response) {
	s.t.Helper()
	headers := map[string]string{}
	for name, value := range c.headers {
		headers[strings.ToLower(name)] = value
	}
	if c.key != "" {
		headers["authorization"] = "Bearer " + c.key
	}
	req := api.Request{
		Version: "2.0", RouteKey: c.route, PathParameters: c.path, QueryStringParameters: c.query,
		Headers: headers, Body: c.body, IsBase64Encoded: c.base64,
	}
	if c.cookie != "" {
		req.Cookies = []string{c.cookie}
	}
	if s.document.Operations[c.route].Session {
		answer, err := s.authorizer.Handle(s.t.Context(), events.APIGatewayV2CustomAuthorizerV2Request{RouteKey: c.route, Cookies: req.Cookies, Headers: headers})
		kittest.Must(s.t, err)
		if !answer.IsAuthorized {
			s.t.Fatal("the authorizer denied the call")
		}
		req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: answer.Context}
	}
	res, err := s.serve(s.t.Context(), req)
	kittest.Must(s.t, err)
	return req, res
}

// session returns the cookie of an athlete's session.
func (s *system) session(athleteID int64) string { return s.sessions[athleteID] }

// open opens a session and returns its cookie.
func (s *system) open(of credentials.Authorization) string {
	s.t.Helper()
	token, err := s.ports.Sessions().Open(s.t.Context(), of)
	kittest.Must(s.t, err)
	return sessionCookie + token.Reveal()
}

// newKey creates a key for an athlete. With a zero expiresAt it never expires.
func (s *system) newKey(athleteID int64, expiresAt time.Time) (id, token string) {
	s.t.Helper()
	key, secret, err := s.keys().Create(s.t.Context(), credentials.Authorization{AthleteID: athleteID, Generation: generation}, mark(athleteID), expiresAt)
	kittest.Must(s.t, err)
	return key.ID(), secret.Reveal()
}

func (s *system) keys() *credentials.Keys {
	return s.ports.Keys()
}

func (s *system) clock() time.Time { return s.now }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
