package sim

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/api"
)

// gatewayTest is a gateway whose functions note the requests that they get.
type gatewayTest struct {
	*cloudTest
	*gateway
	function string
	got      *api.Request
	asked    *events.APIGatewayV2CustomAuthorizerV2Request
	// answer is what every function answers.
	answer func() (api.Response, error)
	// admit is the authorizer's answer.
	admit events.APIGatewayV2CustomAuthorizerSimpleResponse
}

const authorizer = "credentials/authorize-session"

func inGateway(t *testing.T, do func(*gatewayTest)) {
	inCloud(t, func(c *cloudTest) {
		g := &gatewayTest{cloudTest: c, gateway: newGateway(c.cloud, c.deployment)}
		g.answer = func() (api.Response, error) { return api.Response{StatusCode: 200}, nil }
		g.admit = events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: true, Context: map[string]any{"athlete_id": "42"}}
		for name := range c.deployment.functions {
			c.functions[name] = func(_ context.Context, payload any) (any, error) {
				if asked, ok := payload.(events.APIGatewayV2CustomAuthorizerV2Request); ok {
					g.asked = &asked
					return g.admit, nil
				}
				req := payload.(api.Request)
				g.function, g.got = name, &req
				return g.answer()
			}
		}
		do(g)
	})
}

// send sends a request from within a process, and returns the response's status
// and body.
func (g *gatewayTest) send(method, target string, change ...func(*http.Request)) (res *http.Response, body string, err error) {
	g.function, g.got, g.asked = "", nil, nil
	g.gateway.k.spawn("client", 0, func() {
		r, e := http.NewRequestWithContext(g.t.Context(), method, "https://paceline.test"+target, nil)
		if e != nil {
			err = e
			return
		}
		for _, c := range change {
			c(r)
		}
		if res, err = g.RoundTrip(r); err == nil {
			var b []byte
			b, err = io.ReadAll(res.Body)
			body = string(b)
		}
	})
	g.pass(time.Hour)
	return res, body, err
}

func TestRoutesAreMatched(t *testing.T) {
	for _, tc := range []struct {
		method, target string
		function, key  string
		parameters     map[string]string
	}{
		{"GET", "/v1/me", "athlete/serve-api", "GET /v1/me", nil},
		{"DELETE", "/v1/me", "athlete/serve-api", "DELETE /v1/me", nil},
		{"GET", "/v1/me/activities", "activity/serve-api", "GET /v1/me/activities", nil},
		{"GET", "/v1/me/activities/17?x=y", "activity/serve-api", "GET /v1/me/activities/{id}", map[string]string{"id": "17"}},
		{"GET", "/v1/me/activities/a%2Fb%20c", "activity/serve-api", "GET /v1/me/activities/{id}", map[string]string{"id": "a/b c"}},
		{"GET", "/oauth/callback", "credentials/serve-oauth", "GET /oauth/callback", nil},
		{"GET", "/oauth/fitbit/callback", "credentials/serve-links", "GET /oauth/{provider}/callback", map[string]string{"provider": "fitbit"}},
		{"POST", "/webhooks/strava/k", "gathering/receive-webhook", "POST /webhooks/strava/{key}", map[string]string{"key": "k"}},
		// What no route matches goes to the default route, which only one API has.
		{"GET", "/v1/me/", "athlete/serve-api", "$default", nil},
		{"GET", "/v1/me/activities/1/2", "athlete/serve-api", "$default", nil},
		{"GET", "/v1/me/activities/", "athlete/serve-api", "$default", nil},
		{"HEAD", "/v1/me", "athlete/serve-api", "$default", nil},
		{"PUT", "/webhooks/strava/k", "", "", nil},
		{"GET", "/webhooks/strava", "", "", nil},
	} {
		inGateway(t, func(g *gatewayTest) {
			res, body, err := g.send(tc.method, tc.target)
			if err != nil {
				t.Fatal(err)
			}
			if tc.function == "" {
				if res.StatusCode != 404 || g.got != nil || body != `{"message":"Not Found"}` {
					t.Errorf("%s %s: %s %s", tc.method, tc.target, res.Status, body)
				}
				return
			}
			if g.got == nil || g.function != tc.function || g.got.RouteKey != tc.key || !cmp.Equal(g.got.PathParameters, tc.parameters) {
				t.Errorf("%s %s: %s got %+v", tc.method, tc.target, g.function, g.got)
			}
		})
	}
}

func TestTheRouteWithTheFewestParametersMatches(t *testing.T) {
	routes := []routeSpec{
		{api: "http", function: "default"},
		{api: "http", method: "GET", path: "/a/{b}", function: "parameter"},
		{api: "http", method: "GET", path: "/a/b", function: "exact"},
		{api: "http", method: "GET", path: "/{a}/{b}", function: "parameters"},
	}
	for path, want := range map[string]string{"/a/b": "exact", "/a/c": "parameter", "/c/b": "parameters", "/c": "default"} {
		for range routes {
			routes = append(routes[1:], routes[0])
			g := &gateway{routes: routes}
			if got, _, _ := g.match("http", "GET", &url.URL{Path: path}); got.function != want {
				t.Errorf("%s: %s, want %s", path, got.function, want)
			}
		}
	}
}

func TestEveryRouteOfTheDeploymentIsServed(t *testing.T) {
	inGateway(t, func(g *gatewayTest) {
		for _, r := range g.routes {
			if r.path == "" {
				continue
			}
			if _, _, err := g.send(r.method, strings.NewReplacer("{", "", "}", "").Replace(r.path)); err != nil {
				t.Fatal(err)
			}
			if g.function != r.function || g.got.RouteKey != r.key() || (g.asked != nil) != (r.authorizer != "") {
				t.Errorf("%+v is answered by %s as %+v", r, g.function, g.got)
			}
		}
	})
}

func TestTheEdgeIsTheDeployedOne(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(moduleRoot(), "test/infra/testdata/prod/AthleteUi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(content, []byte(`"PathPattern"`)); n != len(edgePaths) {
		t.Errorf("the edge has %d patterns, want %d", n, len(edgePaths))
	}
	for _, e := range edgePaths {
		if !bytes.Contains(content, []byte(`"PathPattern": "`+e.prefix+`*"`)) {
			t.Errorf("the edge has no pattern %s*", e.prefix)
		}
	}
	inGateway(t, func(g *gatewayTest) {
		if res, _, err := g.send("GET", "/?error=full"); err != nil || res.StatusCode != 200 || g.got != nil {
			t.Errorf("the site answers %v %v", res, err)
		}
	})
}

func TestAFunctionGetsTheWholeRequest(t *testing.T) {
	inGateway(t, func(g *gatewayTest) {
		g.answer = func() (api.Response, error) {
			return api.Response{
				StatusCode: 302, Headers: map[string]string{"Location": "/", "cache-control": "no-store"}, Cookies: []string{"a=1", "b=2"}, Body: "body",
			}, nil
		}
		res, body, err := g.send("GET", "/v1/me/activities?sport=Run&sport=Ride&after=a%20b", func(r *http.Request) {
			r.Header.Add("Cookie", "x=1; y=2")
			r.Header.Add("Cookie", "z=3")
			r.Header.Add("If-None-Match", "q")
			r.Header.Add("If-None-Match", "r")
			r.Header.Set("User-Agent", "test")
		})
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(g.got.RequestContext.TimeEpoch)
		want := &api.Request{
			Version: "2.0", RouteKey: "GET /v1/me/activities", RawPath: "/v1/me/activities",
			RawQueryString:        "sport=Run&sport=Ride&after=a%20b",
			Cookies:               []string{"x=1", "y=2", "z=3"},
			Headers:               map[string]string{"host": "paceline.test", "if-none-match": "q,r", "user-agent": "test"},
			QueryStringParameters: map[string]string{"sport": "Run,Ride", "after": "a b"},
			RequestContext: events.APIGatewayV2HTTPRequestContext{
				RouteKey: "GET /v1/me/activities", Stage: "$default", RequestID: "request-1",
				Time: at.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: at.UnixMilli(),
				HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
					Method: "GET", Path: "/v1/me/activities", Protocol: "HTTP/1.1", SourceIP: "192.0.2.1", UserAgent: "test",
				},
				Authorizer: &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: map[string]any{"athlete_id": "42"}},
			},
		}
		if diff := cmp.Diff(want, g.got); diff != "" {
			t.Error(diff)
		}
		if g.asked.RouteKey != want.RouteKey || !slices.Equal(g.asked.Cookies, want.Cookies) || !cmp.Equal(g.asked.Headers, want.Headers) {
			t.Errorf("the authorizer got %+v", g.asked)
		}
		if res.StatusCode != 302 || body != "body" || res.Header.Get("Location") != "/" || res.Header.Get("Cache-Control") != "no-store" ||
			len(res.Cookies()) != 2 || res.Cookies()[1].Value != "2" {
			t.Errorf("the client got %v %s", res, body)
		}
	})
}

func TestBodiesThatAreNoTextAreEncoded(t *testing.T) {
	for contentType, encoded := range map[string]bool{
		"application/json": false, "text/plain; charset=utf-8": false, "application/x-www-form-urlencoded": true, "": true,
	} {
		inGateway(t, func(g *gatewayTest) {
			g.answer = func() (api.Response, error) {
				return api.Response{StatusCode: 200, Body: base64.StdEncoding.EncodeToString([]byte("answer")), IsBase64Encoded: true}, nil
			}
			_, body, err := g.send("POST", "/oauth/waitlist", func(r *http.Request) {
				r.Body = io.NopCloser(strings.NewReader(`{"a":1}`))
				r.Header.Set("Content-Type", contentType)
			})
			want := `{"a":1}`
			if encoded {
				want = base64.StdEncoding.EncodeToString([]byte(want))
			}
			if err != nil || g.got.Body != want || g.got.IsBase64Encoded != encoded || body != "answer" {
				t.Errorf("%q: got %q, answered %q %v", contentType, g.got.Body, body, err)
			}
		})
	}
}

func TestTheGatewayAnswersForFunctions(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*gatewayTest)
		status  int
		took    time.Duration
	}{
		"a function that fails":  {func(g *gatewayTest) { g.answer = func() (api.Response, error) { return api.Response{}, errTest } }, 500, 0},
		"an authorizer's denial": {func(g *gatewayTest) { g.admit.IsAuthorized = false }, 403, 0},
		"a failed authorizer": {func(g *gatewayTest) {
			g.functions[authorizer] = func(context.Context, any) (any, error) { return nil, errTest }
		}, 500, 0},
		"a refused request": {func(g *gatewayTest) { g.failures["gateway http"] = []kind{refuse} }, 503, 0},
	} {
		inGateway(t, func(g *gatewayTest) {
			tc.prepare(g)
			res, body, err := g.send("GET", "/v1/me")
			var message struct{ Message string }
			if err != nil || res.StatusCode != tc.status || json.Unmarshal([]byte(body), &message) != nil || message.Message == "" {
				t.Errorf("%s: %v %s %v", name, res, body, err)
			}
		})
	}
	inGateway(t, func(g *gatewayTest) {
		g.failures["gateway http"] = []kind{lose}
		if _, _, err := g.send("GET", "/v1/me"); err == nil || g.got == nil {
			t.Errorf("a lost answer: %v, the function got %v", err, g.got)
		}
	})
}

func TestTheGatewayWaitsThirtySeconds(t *testing.T) {
	inGateway(t, func(g *gatewayTest) {
		d := *g.deployment
		d.functions = map[string]functionSpec{"athlete/serve-api": {timeout: time.Minute}, authorizer: {timeout: time.Minute}}
		g.deployment = &d
		finished := false
		g.answer = func() (api.Response, error) {
			g.gateway.k.pause(40 * time.Second)
			finished = true
			return api.Response{StatusCode: 200}, nil
		}
		var status int
		var took time.Duration
		g.gateway.k.spawn("client", 0, func() {
			began := time.Now()
			res, err := g.RoundTrip(&http.Request{Method: "GET", URL: &url.URL{Host: "paceline.test", Path: "/v1/me"}, Header: http.Header{}})
			if err != nil {
				t.Error(err)
				return
			}
			status, took = res.StatusCode, time.Since(began)
		})
		g.pass(time.Hour)
		if status != 503 || took < 30*time.Second || took > 31*time.Second || !finished {
			t.Errorf("%d after %s, the function finished: %v", status, took, finished)
		}
	})
}

func TestAFunctionFinishesAfterItsClientLeft(t *testing.T) {
	inGateway(t, func(g *gatewayTest) {
		finished := false
		g.answer = func() (api.Response, error) {
			g.gateway.k.pause(5 * time.Second)
			finished = true
			return api.Response{StatusCode: 200}, nil
		}
		_, _, err := g.send("GET", "/v1/me", func(r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			g.t.Cleanup(cancel)
			*r = *r.WithContext(ctx)
		})
		if err == nil || !finished {
			t.Errorf("%v, the function finished: %v", err, finished)
		}
	})
}
