package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Request and Response are API Gateway's, payload format 2.0.
type (
	Request  = events.APIGatewayV2HTTPRequest
	Response = events.APIGatewayV2HTTPResponse
)

// Handler answers one route.
type Handler func(ctx context.Context, req Request) (Response, error)

// Identity is the caller of a route.
type Identity struct {
	AthleteID int64
	// Generation of the athlete's current authorization.
	Generation int64
	// Key is set for a call with a key, which may only read.
	Key bool
}

// Keys of the authorizer's context. Values are strings, because API Gateway
// turns large numbers into floats.
const (
	contextAthleteID  = "athlete_id"
	contextGeneration = "generation"
	contextKey        = "key"
	contextRefusal    = "refusal"
	contextErasure    = "erasure"
)

// Context returns the identity as the authorizer's context.
func (id Identity) Context() map[string]any {
	return map[string]any{
		contextAthleteID:  strconv.FormatInt(id.AthleteID, 10),
		contextGeneration: strconv.FormatInt(id.Generation, 10),
		contextKey:        strconv.FormatBool(id.Key),
	}
}

// Refusal is the reason why a call has no identity.
type Refusal string

// The refusals.
const (
	// NoSession: the call has neither a live session nor a key.
	NoSession Refusal = "no-session"
	// UnknownKey: there is no such key, or it was deleted after its end.
	UnknownKey Refusal = "unknown-key"
	// ExpiredKey: the key's end date has passed.
	ExpiredKey Refusal = "expired-key"
	// RevokedKey: the athlete revoked the key, or the authorization has ended.
	RevokedKey Refusal = "revoked-key"
	// Unavailable: the authorizer could not look up the caller.
	Unavailable Refusal = "try-again"
)

// Context returns the refusal as the authorizer's context. receipt identifies
// the erasure that ended the session or key; it is empty if there was none.
func (r Refusal) Context(receipt string) map[string]any {
	return map[string]any{contextRefusal: string(r), contextErasure: receipt}
}

// answer returns the problem for a refused call.
func (r Refusal) answer(receipt string) Response {
	erasure := ""
	if receipt != "" {
		erasure = ErasurePath + receipt
	}
	switch r {
	case UnknownKey:
		return problem(http.StatusUnauthorized, string(r), "The key is unknown. Create another one on the site.", erasure)
	case ExpiredKey:
		return problem(http.StatusUnauthorized, string(r), "The key has expired. Create another one on the site.", erasure)
	case RevokedKey:
		return problem(http.StatusUnauthorized, string(r), "The key was revoked. Create another one on the site.", erasure)
	case Unavailable:
		return Problem(http.StatusServiceUnavailable, "Temporarily unavailable. Try again in a moment.")
	}
	return Erased(erasure)
}

// ErasurePath is the path of an erasure up to its last segment, the receipt.
const ErasurePath = "/v1/erasures/"

func identify(req Request) (Identity, bool) {
	athleteID, err1 := strconv.ParseInt(fromContext(req, contextAthleteID), 10, 64)
	generation, err2 := strconv.ParseInt(fromContext(req, contextGeneration), 10, 64)
	key, err3 := strconv.ParseBool(fromContext(req, contextKey))
	ok := errors.Join(err1, err2, err3) == nil && athleteID > 0 && generation > 0
	return Identity{AthleteID: athleteID, Generation: generation, Key: key}, ok
}

// fromContext returns a value of the authorizer's context, or the empty string.
func fromContext(req Request, name string) string {
	if req.RequestContext.Authorizer == nil {
		return ""
	}
	s, _ := req.RequestContext.Authorizer.Lambda[name].(string)
	return s
}

// Authenticated calls handle if the call has an identity. Otherwise it answers
// with the problem of the [Refusal]: 401, or 503 for [Unavailable]. It answers
// with 403 to a call with a key whose method is not GET.
func Authenticated(handle func(ctx context.Context, id Identity, req Request) (Response, error)) Handler {
	return func(ctx context.Context, req Request) (Response, error) {
		id, ok := identify(req)
		switch {
		case !ok:
			return Refusal(fromContext(req, contextRefusal)).answer(fromContext(req, contextErasure)), nil
		case id.Key && !strings.HasPrefix(req.RouteKey, http.MethodGet+" "):
			return KeyForbidden(), nil
		}
		return handle(ctx, id, req)
	}
}

// KeyForbidden returns the response to a call that needs a session instead of a
// key.
func KeyForbidden() Response {
	return Problem(http.StatusForbidden, "A key may only read the athlete's data. This call needs a session.")
}

// Mux returns the Lambda handler for the routes, whose keys are those of API
// Gateway, such as "GET /v1/me". It turns an error into a problem by its kind
// of fault, and logs it unless the caller caused it. The problem has the
// error's text only for [fault.Invalid]. A route's context ends a little before
// the function does, so that a call that takes too long still gets a response.
func Mux(log *slog.Logger, routes map[string]Handler) func(context.Context, Request) (Response, error) {
	return func(ctx context.Context, req Request) (Response, error) {
		handle, ok := routes[req.RouteKey]
		if !ok {
			return Problem(http.StatusNotFound, "No such route."), nil
		}
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		res, err := handle(ctx, req)
		if err == nil {
			return tagged(req, res), nil
		}
		kind := fault.Of(err)
		switch kind {
		case fault.Invalid:
			return Problem(http.StatusBadRequest, err.Error()), nil
		case fault.NotFound:
			return Problem(http.StatusNotFound, "Not found."), nil
		}
		log.ErrorContext(ctx, "request failed", "route", req.RouteKey, "fault", kind, "error", err.Error())
		if kind == fault.Transient || kind == fault.Conflict {
			return Problem(http.StatusServiceUnavailable, "Temporarily unavailable. Try again in a moment."), nil
		}
		return Problem(http.StatusInternalServerError, "The request failed. The error is logged."), nil
	}
}

// JSON returns a response that no cache may store.
func JSON(status int, body any) Response { return respond(status, "application/json", encode(body)) }

// CSV returns a table that browsers save as a file with that name.
func CSV(name, table string) Response {
	res := respond(http.StatusOK, "text/csv; charset=utf-8", table)
	res.Headers["Content-Disposition"] = `attachment; filename="` + name + `"`
	return res
}

// ProblemTypes has the type of problem of each status: the part of a response's
// type after [ProblemBase], and the id of a heading on that page. A 401 may
// also have the type of a [Refusal].
var ProblemTypes = map[int]string{
	http.StatusBadRequest:            "invalid-request",
	http.StatusUnauthorized:          "no-session",
	http.StatusForbidden:             "refused",
	http.StatusNotFound:              "not-found",
	http.StatusConflict:              "conflict",
	http.StatusRequestEntityTooLarge: "too-large",
	http.StatusUnsupportedMediaType:  "unsupported-media-type",
	http.StatusTooManyRequests:       "too-many-requests",
	http.StatusInternalServerError:   "internal-error",
	http.StatusServiceUnavailable:    "try-again",
}

// ProblemBase is the page of the site that describes all types of problems. It
// is an absolute path without an origin (RFC 9457, 3.1.1), so that every
// deployment has the same types.
const ProblemBase = "/problems.html#"

// Problem returns an error response (RFC 9457) whose title is that of the
// status. The status must be one of [ProblemTypes].
func Problem(status int, detail string) Response {
	return problem(status, ProblemTypes[status], detail, "")
}

func problem(status int, name, detail, erasure string) Response {
	return respond(status, "application/problem+json", encode(struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		Erasure string `json:"erasure,omitempty"`
	}{ProblemBase + name, http.StatusText(status), status, detail, erasure}))
}

// Unauthorized returns the response to a call without a valid session.
func Unauthorized() Response { return Erased("") }

// Erased returns [Unauthorized] with the path of the erasure that ended the
// session as an extension member (RFC 9457, 3.2), unless the path is empty.
func Erased(erasure string) Response {
	return problem(http.StatusUnauthorized, string(NoSession), "There is no session, or it has ended. Connect with Strava to open one.", erasure)
}

// TooManyRequests returns the response to a call that may be repeated after the
// given time, which is rounded up to whole seconds.
func TooManyRequests(after time.Duration, detail string) Response {
	res := Problem(http.StatusTooManyRequests, detail)
	res.Headers["Retry-After"] = strconv.FormatInt(int64(math.Ceil(after.Seconds())), 10)
	return res
}

// Redirect returns a redirect (302) to location.
func Redirect(location string, cookies ...string) Response {
	return Response{
		StatusCode: http.StatusFound,
		Headers:    map[string]string{"Location": location, "Cache-Control": "no-store"},
		Cookies:    cookies,
	}
}

// contentPolicy prevents a browser that shows a response as a page from running
// or loading anything.
const contentPolicy = "default-src 'none'; frame-ancestors 'none'"

func respond(status int, contentType, body string) Response {
	return Response{
		StatusCode: status,
		Headers: map[string]string{
			"Content-Type":            contentType,
			"Cache-Control":           "no-store",
			"Content-Security-Policy": contentPolicy,
			"X-Content-Type-Options":  "nosniff",
		},
		Body: body,
	}
}

func encode(body any) string {
	b, err := json.Marshal(body)
	if err != nil {
		// Bodies are plain structs. One that cannot be encoded is a bug, and Lambda
		// reports the panic.
		panic(err)
	}
	return string(b)
}
