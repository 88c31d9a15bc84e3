package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func serve(t *testing.T, req api.Request, h api.Handler) api.Response {
	t.Helper()
	req.RouteKey = "GET /v1/x"
	res, err := api.Mux(slog.New(slog.DiscardHandler), map[string]api.Handler{"GET /v1/x": h})(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestErrorsBecomeProblems(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		shown  bool
	}{
		{fault.New(fault.Invalid, "cause-text"), 400, true},
		{fault.New(fault.NotFound, "cause-text"), 404, false},
		{fault.New(fault.Conflict, "cause-text"), 503, false},
		{fault.New(fault.Transient, "cause-text"), 503, false},
		{errors.New("cause-text"), 500, false},
	} {
		res := serve(t, api.Request{}, func(context.Context, api.Request) (api.Response, error) {
			return api.Response{}, tc.err
		})
		var p struct {
			Type, Title, Detail string
			Status              int
		}
		if err := json.Unmarshal([]byte(res.Body), &p); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != tc.status || p.Status != tc.status || p.Title == "" || res.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%v: %d %s", tc.err, res.StatusCode, res.Body)
		}
		if strings.Contains(res.Body, "cause-text") != tc.shown {
			t.Errorf("%v: body %s", tc.err, res.Body)
		}
		if want := api.ProblemBase + api.ProblemTypes[tc.status]; p.Type != want || want == api.ProblemBase {
			t.Errorf("%v: type %q", tc.err, p.Type)
		}
		inert(t, res)
	}
}

func TestAnEndedSessionMayLeadToAnErasure(t *testing.T) {
	const problem = `{"type":"/problems.html#no-session","title":"Unauthorized","status":401,` +
		`"detail":"There is no session, or it has ended. Connect with Strava to open one."`
	for want, res := range map[string]api.Response{
		problem + `}`: api.Unauthorized(),
		problem + `,"erasure":"/v1/erasures/r1"}`: api.Erased("/v1/erasures/r1"),
	} {
		if res.StatusCode != 401 || res.Body != want || res.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%d %s, want %s", res.StatusCode, res.Body, want)
		}
		inert(t, res)
	}
}

// A call that outlasts its function is answered, too, rather than cut off by
// API Gateway with an answer of its own.
func TestACallThatTakesTooLongIsAnswered(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
	defer cancel()
	slow := func(ctx context.Context, _ api.Request) (api.Response, error) {
		<-ctx.Done()
		return api.Response{}, fault.New(fault.Transient, "wait: %w", ctx.Err())
	}
	log := slog.New(slog.DiscardHandler)
	res, err := api.Mux(log, map[string]api.Handler{"GET /v1/x": slow})(ctx, api.Request{RouteKey: "GET /v1/x"})
	if err != nil || res.StatusCode != 503 || ctx.Err() != nil {
		t.Errorf("%d, %v, when the function's time was %v", res.StatusCode, err, ctx.Err())
	}
}

// inert checks that a browser takes the answer for nothing but data, and that
// no cache stores it.
func inert(t *testing.T, res api.Response) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := res.Headers[name]; got != want {
			t.Errorf("%d: %s: %q", res.StatusCode, name, got)
		}
	}
}

// The page that the types of problems lead to has a heading for each, and no
// other.
func TestProblemTypesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../web/public/problems.html")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile(`<h2 id="([^"]+)">`).FindAllSubmatch(page, -1) {
		got = append(got, string(m[1]))
	}
	slices.Sort(got)
	want := slices.Sorted(maps.Values(api.ProblemTypes))
	for _, key := range []api.Refusal{api.UnknownKey, api.ExpiredKey, api.RevokedKey} {
		want = append(want, string(key))
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the page has %v, the types are %v", got, want)
	}
}

func TestEntityTags(t *testing.T) {
	body := `{"a":1}`
	answer := func(context.Context, api.Request) (api.Response, error) {
		return api.JSON(200, json.RawMessage(body)), nil
	}
	get := func(ifNoneMatch string) api.Response {
		return serve(t, api.Request{Headers: map[string]string{"if-none-match": ifNoneMatch}}, answer)
	}
	first := get("")
	tag := first.Headers["ETag"]
	if first.StatusCode != 200 || first.Body != body || len(tag) < 20 || tag[0] != '"' {
		t.Fatalf("%+v", first)
	}
	for _, match := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		res := get(match)
		if res.StatusCode != 304 || res.Body != "" || res.Headers["ETag"] != tag || res.Headers["Content-Type"] != "" {
			t.Errorf("%s: %+v", match, res)
		}
		inert(t, res)
	}
	for _, other := range []string{`"other"`, "W/", `""`, tag[1 : len(tag)-1]} {
		if res := get(other); res.StatusCode != 200 || res.Body != body {
			t.Errorf("%s: %+v", other, res)
		}
	}
	body = `{"a":2}`
	if res := get(tag); res.StatusCode != 200 || res.Headers["ETag"] == tag {
		t.Errorf("after a change: %+v", res)
	}
	refused := serve(t, api.Request{Headers: map[string]string{"if-none-match": "*"}}, api.Authenticated(nil))
	if refused.StatusCode != 401 || refused.Headers["ETag"] != "" {
		t.Errorf("an error has a tag: %+v", refused)
	}
}

func TestFromSite(t *testing.T) {
	const site = "https://paceline.example"
	h := api.SameOrigin(site, func(context.Context, api.Request) (api.Response, error) {
		return api.JSON(200, struct{}{}), nil
	})
	for _, tc := range []struct {
		fetchSite, origin string
		status            int
	}{
		{"", "", 200}, // curl
		{"same-origin", site, 200},
		{"same-origin", "", 200},
		{"none", "", 200},
		{"", site, 200},
		{"same-site", site, 403},
		{"cross-site", site, 403},
		{"cross-site", "https://evil.example", 403},
		{"nonsense", "", 403},
		{"", "https://evil.example", 403},
		{"", "https://paceline.example.evil.example", 403},
		{"", "http://paceline.example", 403},
		{"", "null", 403},
	} {
		headers := map[string]string{}
		if tc.fetchSite != "" {
			headers["sec-fetch-site"] = tc.fetchSite
		}
		if tc.origin != "" {
			headers["origin"] = tc.origin
		}
		if res := serve(t, api.Request{Headers: headers}, h); res.StatusCode != tc.status {
			t.Errorf("%v: %d", headers, res.StatusCode)
		}
	}
}

func TestFields(t *testing.T) {
	type thing struct {
		ID   int    `json:"id"`
		Name string `json:"name,omitempty"`
		Note string `json:"note"`
	}
	h := func(_ context.Context, req api.Request) (api.Response, error) {
		fields, err := api.SelectFields[thing](req)
		return api.JSON(200, fields.Of(thing{ID: 1 << 60, Note: "n"})), err
	}
	for query, want := range map[string]string{
		"":             "",
		"id":           `{"id":1152921504606846976}`,
		"note,id":      `{"id":1152921504606846976,"note":"n"}`,
		"name":         `{}`,
		"id,id":        "",
		"ID":           "",
		"id,":          "",
		"id, note":     "",
		",":            "",
		"id;drop":      "",
		"constructor":  "",
		"id,note,more": "",
	} {
		res := serve(t, api.Request{QueryStringParameters: map[string]string{"fields": query}}, h)
		if want == "" && res.StatusCode != 400 || want != "" && (res.StatusCode != 200 || res.Body != want) {
			t.Errorf("%q: %d %s", query, res.StatusCode, res.Body)
		}
	}
}

func TestWithoutFieldsThereAreAll(t *testing.T) {
	type thing struct {
		ID int `json:"id"`
	}
	fields, err := api.SelectFields[thing](api.Request{})
	if err != nil || fields.Of(thing{1}) != (thing{1}) {
		t.Errorf("%v, %v", fields.Of(thing{1}), err)
	}
}

func TestCSV(t *testing.T) {
	type thing struct {
		ID    int64    `json:"id"`
		Name  string   `json:"name"`
		Speed *float64 `json:"speed,omitempty"`
		Done  bool     `json:"done"`
	}
	speed := 12.5
	below := -1.5
	things := []thing{{1 << 60, "Tom, \"the\" <cat>\nand Zoë", &speed, true}, {2, "", nil, false}, {-3, "=1+1", &below, false}, {4, "a=1", nil, false}}
	for query, want := range map[string]string{
		"":         "id,name,speed,done\r\n1152921504606846976,\"Tom, \"\"the\"\" <cat>\r\nand Zoë\",12.5,true\r\n2,,,false\r\n-3,'=1+1,-1.5,false\r\n4,a=1,,false\r\n",
		"speed,id": "id,speed\r\n1152921504606846976,12.5\r\n2,\r\n-3,-1.5\r\n4,\r\n",
		"done":     "done\r\ntrue\r\nfalse\r\nfalse\r\nfalse\r\n",
	} {
		req := api.Request{}
		if query != "" {
			req.QueryStringParameters = map[string]string{"fields": query}
		}
		fields, err := api.SelectFields[thing](req)
		if err != nil {
			t.Fatal(err)
		}
		if got := fields.CSV(true, things...); got != want {
			t.Errorf("%q: %q", query, got)
		}
		_, rows, _ := strings.Cut(want, "\r\n")
		if got := fields.CSV(false, things...); got != rows {
			t.Errorf("%q without a header: %q", query, got)
		}
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	limiter := api.NewLimiter(func() time.Time { return now })
	answer := limiter.Limit(map[string]api.Handler{"GET /v1/x": func(context.Context, api.Request) (api.Response, error) {
		return api.JSON(200, struct{}{}), nil
	}})["GET /v1/x"]
	call := func(athleteID int64) api.Response {
		return serve(t, api.Request{RequestContext: events.APIGatewayV2HTTPRequestContext{
			Authorizer: &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
				Lambda: api.Identity{AthleteID: athleteID, Generation: 1}.Context(),
			},
		}}, answer)
	}
	passes := func(athleteID int64, want int) {
		t.Helper()
		for i := range want {
			if res := call(athleteID); res.StatusCode != 200 {
				t.Fatalf("call %d: %d", i, res.StatusCode)
			}
		}
		res := call(athleteID)
		if res.StatusCode != 429 || res.Headers["Retry-After"] != "1" || res.Headers["Content-Type"] != "application/problem+json" {
			t.Fatalf("one too many: %+v", res)
		}
	}
	passes(1, api.LimitBurst)
	passes(2, api.LimitBurst) // whom the first does not concern
	now = now.Add(time.Second)
	passes(1, api.LimitPerSecond)
	// Others, however many, do not make it forget who has called too often.
	others := func() {
		for id := range int64(1500) {
			if res := call(10 + id); res.StatusCode != 200 {
				t.Fatal(res.StatusCode)
			}
		}
	}
	others()
	if res := call(1); res.StatusCode != 429 {
		t.Errorf("after many others: %d", res.StatusCode)
	}
	now = now.Add(time.Hour)
	others()
	passes(1, api.LimitBurst)
	for range api.LimitBurst + 1 {
		if res := serve(t, api.Request{}, answer); res.StatusCode != 200 {
			t.Fatalf("no athlete: %d", res.StatusCode)
		}
	}
}

func TestAuthenticatedTakesIdentityFromTheAuthorizerOnly(t *testing.T) {
	want := api.Identity{AthleteID: 42, Generation: 1700000000000}
	h := api.Authenticated(func(_ context.Context, id api.Identity, _ api.Request) (api.Response, error) {
		if id != want {
			t.Errorf("identity %+v", id)
		}
		return api.JSON(200, id), nil
	})
	authorizer := func(ctx map[string]any) api.Request {
		return api.Request{RequestContext: events.APIGatewayV2HTTPRequestContext{
			Authorizer: &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: ctx},
		}}
	}
	if res := serve(t, authorizer(want.Context()), h); res.StatusCode != 200 {
		t.Errorf("with identity: %d", res.StatusCode)
	}
	for name, req := range map[string]api.Request{
		"no authorizer": {Headers: map[string]string{"athlete_id": "42", "generation": "1"}},
		"empty context": authorizer(nil),
		"no generation": authorizer(map[string]any{"athlete_id": "42", "key": "false"}),
		"no kind":       authorizer(map[string]any{"athlete_id": "42", "generation": "1"}),
		"not a number":  authorizer(map[string]any{"athlete_id": "x", "generation": "1", "key": "false"}),
		"a refusal":     authorizer(api.NoSession.Context("")),
		"zero":          authorizer(api.Identity{}.Context()),
	} {
		if res := serve(t, req, h); res.StatusCode != 401 || res.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

func TestAKeyMayOnlyRead(t *testing.T) {
	handle := api.Authenticated(func(_ context.Context, id api.Identity, _ api.Request) (api.Response, error) {
		return api.JSON(200, id), nil
	})
	for _, isKey := range []bool{true, false} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "ANY", "GETS"} {
			req := api.Request{RouteKey: method + " /v1/x"}
			req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
				Lambda: api.Identity{AthleteID: 42, Generation: 1, Key: isKey}.Context(),
			}
			res, err := handle(t.Context(), req)
			want := 200
			if isKey && method != "GET" {
				want = 403
			}
			if err != nil || res.StatusCode != want {
				t.Errorf("%s by a key %t: %d, %v", method, isKey, res.StatusCode, err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	for refusal, tc := range map[api.Refusal]struct {
		receipt string
		status  int
		want    string
	}{
		api.NoSession:   {"", 401, `{"type":"/problems.html#no-session","title":"Unauthorized",`},
		api.UnknownKey:  {"", 401, `{"type":"/problems.html#unknown-key","title":"Unauthorized",`},
		api.ExpiredKey:  {"", 401, `{"type":"/problems.html#expired-key","title":"Unauthorized",`},
		api.RevokedKey:  {"r1", 401, `{"type":"/problems.html#revoked-key","title":"Unauthorized",`},
		api.Unavailable: {"", 503, `{"type":"/problems.html#try-again","title":"Service Unavailable",`},
		"":              {"r1", 401, `{"type":"/problems.html#no-session","title":"Unauthorized",`},
	} {
		req := api.Request{}
		req.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: refusal.Context(tc.receipt)}
		res := serve(t, req, api.Authenticated(nil))
		erasure := `,"erasure":"/v1/erasures/r1"}`
		if res.StatusCode != tc.status || !strings.HasPrefix(res.Body, tc.want) || strings.HasSuffix(res.Body, erasure) != (tc.receipt != "") {
			t.Errorf("%s: %d %s", refusal, res.StatusCode, res.Body)
		}
		inert(t, res)
	}
}

func TestUnknownRoute(t *testing.T) {
	res, err := api.Mux(slog.New(slog.DiscardHandler), nil)(t.Context(), api.Request{RouteKey: "GET /x"})
	if err != nil || res.StatusCode != 404 {
		t.Fatalf("%v %v", res, err)
	}
}
