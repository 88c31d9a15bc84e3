package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

func serve(t *testing.T, req httpapi.Request, h httpapi.Handler) httpapi.Response {
	t.Helper()
	req.RouteKey = "GET /v1/x"
	res, err := httpapi.Mux(slog.New(slog.NewTextHandler(io.Discard, nil)), map[string]httpapi.Handler{"GET /v1/x": h})(t.Context(), req)
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
		res := serve(t, httpapi.Request{}, func(context.Context, httpapi.Request) (httpapi.Response, error) {
			return httpapi.Response{}, tc.err
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
	}
}

func TestAuthenticatedTakesIdentityFromTheAuthorizerOnly(t *testing.T) {
	want := httpapi.Identity{AthleteID: 42, Generation: 1700000000000}
	h := httpapi.Authenticated(func(_ context.Context, id httpapi.Identity, _ httpapi.Request) (httpapi.Response, error) {
		if id != want {
			t.Errorf("identity %+v", id)
		}
		return httpapi.JSON(200, id), nil
	})
	authorizer := func(ctx map[string]any) httpapi.Request {
		return httpapi.Request{RequestContext: events.APIGatewayV2HTTPRequestContext{
			Authorizer: &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{Lambda: ctx},
		}}
	}
	if res := serve(t, authorizer(want.Context()), h); res.StatusCode != 200 {
		t.Errorf("with identity: %d", res.StatusCode)
	}
	for name, req := range map[string]httpapi.Request{
		"no authorizer": {Headers: map[string]string{"athlete_id": "42", "generation": "1"}},
		"empty context": authorizer(nil),
		"no generation": authorizer(map[string]any{"athlete_id": "42"}),
		"not a number":  authorizer(map[string]any{"athlete_id": "x", "generation": "1"}),
		"zero":          authorizer(httpapi.Identity{}.Context()),
	} {
		if res := serve(t, req, h); res.StatusCode != 401 || res.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

func TestUnknownRoute(t *testing.T) {
	res, err := httpapi.Mux(slog.New(slog.NewTextHandler(io.Discard, nil)), nil)(t.Context(), httpapi.Request{RouteKey: "GET /x"})
	if err != nil || res.StatusCode != 404 {
		t.Fatalf("%v %v", res, err)
	}
}
