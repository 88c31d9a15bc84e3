package api_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/golang-jwt/jwt/v5"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	activitylambda "github.com/paceline/paceline/pkg/activity/lambdain"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	athletelambda "github.com/paceline/paceline/pkg/athlete/lambdain"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/kms"
	credentialslambda "github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/api"
)

const siteURL = "https://paceline.example"

// The athletes. Ada and Bob are connected, Eve has left.
const (
	ada int64 = 71_000_001
	bob int64 = 72_000_002
	eve int64 = 73_000_003
)

// now is when everything happens, generation the authorization of all.
var (
	now        = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	generation = now.Add(-24 * time.Hour).UnixMilli()
)

// activitiesEach is how many activities each athlete has.
const activitiesEach = 60

// system is everything that answers the HTTP API, over memory, behind the real
// authorizer.
type system struct {
	t          *testing.T
	document   *api.Document
	routes     map[string]httpapi.Handler
	serve      func(context.Context, httpapi.Request) (httpapi.Response, error)
	authorizer *credentialslambda.Authorizer
	key        *ecdsa.PrivateKey
	bus        *eventtest.Bus
	recorder   *activity.Recorder
}

func newSystem(t *testing.T) *system {
	s := &system{t: t, document: api.MustLoad(t), key: mustKey(t), bus: &eventtest.Bus{}}
	clock := func() time.Time { return now }
	minter := event.Minter{Now: clock, NewID: boot.NewSecret}

	accounts := athletetest.NewStore()
	athletes := &athlete.Service{
		Accounts: accounts, Erasures: accounts, Publisher: s.bus, Minter: minter, NewReceipt: boot.NewSecret,
	}
	rows := activitytest.NewStore()
	s.recorder = &activity.Recorder{Store: rows, Publisher: s.bus, Minter: minter}
	grants := credentialstest.NewStore()
	unreachable := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
		return nil, fault.New(fault.Transient, "Strava is away")
	})}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	vault := credentialstest.NewVault()
	must(t, vault.SaveApp(t.Context(), credentials.ProviderStrava, credentials.App{ClientID: "1", ClientSecret: secret.New("s")}))
	oauth := &credentialslambda.OAuth{
		Connect: &credentials.Connect{
			TokenStore: credentials.TokenStore{
				Ledger: credentials.Ledger{Grants: grants, Publisher: s.bus, Minter: minter},
				Vault:  vault, Sealer: &credentialstest.Sealer{}, Metrics: &credentialstest.Metrics{}, Sleep: boot.Sleep,
			},
			States: grants, OAuth: provider.NewOAuth(unreachable, provider.Strava("http://strava.test/oauth", "revoke"), clock),
			NewSecret: boot.NewSecret, RedirectURI: siteURL + "/oauth/callback",
			Capacity: &credentials.Capacity{Census: grants, Athletes: 10, Now: clock},
		},
		Sessions: credentialstest.Sessions{}, Now: clock,
		Waitlist: &credentials.Waitlist{Room: &credentialstest.WaitingRoom{}, Now: clock},
		SiteURL:  siteURL, SecureCookies: true, Log: log,
	}
	s.routes = map[string]httpapi.Handler{}
	for _, boundary := range []map[string]httpapi.Handler{
		athletelambda.APIRoutes(athletes, siteURL),
		activitylambda.APIRoutes(&activity.Reader{Store: rows, Now: clock}),
		oauth.Routes(),
	} {
		for key := range boundary {
			if s.routes[key] != nil {
				t.Errorf("two boundaries answer %s", key)
			}
		}
		maps.Copy(s.routes, boundary)
	}
	s.serve = httpapi.Mux(log, s.routes)
	s.authorizer = &credentialslambda.Authorizer{Sessions: mustVerifier(t, &s.key.PublicKey)}

	for i, id := range []int64{ada, bob, eve} {
		ctx, meta := t.Context(), event.Meta{ID: "m", OccurredAt: now, CorrelationID: "c"}
		must(t, athletes.AthleteAuthorized(ctx, meta, credentialsv1.AthleteAuthorized{
			AthleteID: id, Generation: generation, Scopes: []string{"read", mark(id)},
		}))
		must(t, athletes.AthleteGathered(ctx, meta, gatheringv1.AthleteGathered{
			AthleteID: id, Generation: generation, ReadAt: now, Athlete: gatheringv1.Athlete{ID: id, Firstname: mark(id)},
		}))
		gathered := gatheringv1.ActivitiesGathered{AthleteID: id, Generation: generation, ReadAt: now}
		for n := range activitiesEach {
			one := activitytest.Activity(id*100+int64(n), 1000*i+n/3, fmt.Sprintf("%s %d", mark(id), n))
			one.SportType = []string{"Run", "Ride", mark(id)}[n%3]
			gathered.Activities = append(gathered.Activities, one)
		}
		must(t, s.recorder.ActivitiesGathered(ctx, meta, gathered))
		if id == eve {
			gone := credentialsv1.AuthorizationRevoked{AthleteID: id, Generation: generation, Receipt: receiptOf(id)}
			must(t, athletes.AuthorizationRevoked(ctx, meta, gone))
			must(t, s.recorder.AuthorizationRevoked(ctx, meta, gone))
		}
	}
	return s
}

// mark is in all that is an athlete's, and in nothing of anybody else.
func mark(athleteID int64) string { return fmt.Sprintf("mark-of-%d", athleteID) }

func receiptOf(athleteID int64) string { return fmt.Sprintf("receipt-of-%d", athleteID*7) }

// call is one call of an operation.
type call struct {
	route   string
	path    map[string]string
	query   map[string]string
	headers map[string]string
	cookie  string
	body    string
	base64  bool
}

// send does what API Gateway does: asks the authorizer about routes that need a
// session, and hands the call on.
func (s *system) send(c call) (httpapi.Request, httpapi.Response) {
	s.t.Helper()
	headers := map[string]string{}
	for name, value := range c.headers {
		headers[strings.ToLower(name)] = value
	}
	req := httpapi.Request{
		Version: "2.0", RouteKey: c.route, PathParameters: c.path, QueryStringParameters: c.query,
		Headers: headers, Body: c.body, IsBase64Encoded: c.base64,
	}
	if c.cookie != "" {
		req.Cookies = []string{c.cookie}
	}
	if s.document.Operations[c.route].Session {
		answer, err := s.authorizer.Handle(s.t.Context(), events.APIGatewayV2CustomAuthorizerV2Request{Cookies: req.Cookies, Headers: headers})
		must(s.t, err)
		if !answer.IsAuthorized {
			s.t.Fatal("the authorizer denies")
		}
		req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: answer.Context}
	}
	res, err := s.serve(s.t.Context(), req)
	must(s.t, err)
	return req, res
}

// session is the cookie of an athlete's session.
func (s *system) session(athleteID int64) string {
	return s.cookie(s.key, jwt.SigningMethodES256, strconv.FormatInt(athleteID, 10), generation, now.Add(time.Hour))
}

// cookie is a session's cookie, or what somebody would like to pass for one.
func (s *system) cookie(key any, method jwt.SigningMethod, subject string, generation int64, expires time.Time) string {
	s.t.Helper()
	token, err := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": "paceline", "sub": subject, "exp": expires.Unix(), "iat": now.Unix(), "gen": generation,
	}).SignedString(key)
	must(s.t, err)
	return "paceline_session=" + token
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// mustVerifier is the real verifier, for the key.
func mustVerifier(t *testing.T, key *ecdsa.PublicKey) *kms.Verifier {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	must(t, err)
	answer := fmt.Sprintf(`{"KeyId":"k","PublicKey":%q}`, base64.StdEncoding.EncodeToString(der))
	client := awskms.New(awskms.Options{
		Region: "us-east-1", Credentials: awscredentials.NewStaticCredentialsProvider("id", "key", ""),
		HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
		})},
	})
	verifier, err := kms.NewVerifier(t.Context(), client, "k", func() time.Time { return now })
	must(t, err)
	return verifier
}

func mustKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
