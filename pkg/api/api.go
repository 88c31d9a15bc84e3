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

// Identity is who makes a call.
type Identity struct {
	AthleteID int64
	// Generation of the authorization in force.
	Generation int64
	// Key says that a program calls with a key, which may only read.
	Key bool
}

// Keys of the authorizer's context. Values are strings: API Gateway would turn
// large numbers into floats.
const (
	contextAthleteID  = "athlete_id"
	contextGeneration = "generation"
	contextKey        = "key"
	contextRefusal    = "refusal"
	contextErasure    = "erasure"
)

// Context is the identity as the authorizer hands it on.
func (id Identity) Context() map[string]any {
	return map[string]any{
		contextAthleteID:  strconv.FormatInt(id.AthleteID, 10),
		contextGeneration: strconv.FormatInt(id.Generation, 10),
		contextKey:        strconv.FormatBool(id.Key),
	}
}

// Refusal is why a call has no identity.
type Refusal string

// The refusals.
const (
	// NoSession: the call has neither a live session nor a key.
	NoSession Refusal = "no-session"
	// UnknownKey: there is no such key, or it ended long ago.
	UnknownKey Refusal = "unknown-key"
	// ExpiredKey: the key's end date is over.
	ExpiredKey Refusal = "expired-key"
	// RevokedKey: the athlete revoked the key, or the authorization has ended.
	RevokedKey Refusal = "revoked-key"
	// Unavailable: it could not be found out who calls.
	Unavailable Refusal = "try-again"
)

// Context is the refusal as the authorizer hands it on. receipt names the
// erasure that a session or key ended with; it is empty without one.
func (r Refusal) Context(receipt string) map[string]any {
	return map[string]any{contextRefusal: string(r), contextErasure: receipt}
}

// answer is the problem that a refused call is answered with.
func (r Refusal) answer(receipt string) Response {
	erasure := ""
	if receipt != "" {
		erasure = ErasurePath + receipt
	}
	switch r {
	case UnknownKey:
		return problem(http.StatusUnauthorized, string(r), "The key is unknown. Make another one on the site.", erasure)
	case ExpiredKey:
		return problem(http.StatusUnauthorized, string(r), "The key has expired. Make another one on the site.", erasure)
	case RevokedKey:
		return problem(http.StatusUnauthorized, string(r), "The key was revoked. Make another one on the site.", erasure)
	case Unavailable:
		return Problem(http.StatusServiceUnavailable, "Please try again in a moment.")
	}
	return Erased(erasure)
}

// ErasurePath is the path of an erasure without its last segment, the receipt.
const ErasurePath = "/v1/erasures/"

func identify(req Request) (Identity, bool) {
	athleteID, err1 := strconv.ParseInt(fromContext(req, contextAthleteID), 10, 64)
	generation, err2 := strconv.ParseInt(fromContext(req, contextGeneration), 10, 64)
	key, err3 := strconv.ParseBool(fromContext(req, contextKey))
	ok := errors.Join(err1, err2, err3) == nil && athleteID > 0 && generation > 0
	return Identity{AthleteID: athleteID, Generation: generation, Key: key}, ok
}

// fromContext is what the authorizer handed on under a name; empty for nothing.
func fromContext(req Request, name string) string {
	if req.RequestContext.Authorizer == nil {
		return ""
	}
	s, _ := req.RequestContext.Authorizer.Lambda[name].(string)
	return s
}

// Authenticated calls handle for a call with an identity. It answers other calls
// with the problem that says why they have none: 401, or 503 when that could not
// be found out. A key may only read: it answers 403 to any other method.
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

// KeyForbidden is the answer to a call that a key may not make.
func KeyForbidden() Response {
	return Problem(http.StatusForbidden, "A key may only read the athlete's data. This takes a session.")
}

// Mux makes the Lambda handler that serves the routes, whose keys are API
// Gateway's: "GET /v1/me". An error becomes a problem by its fault kind and is
// logged, once, here; its text is not shown to the caller unless the input
// was invalid. Routes have a little less time than the function, so that a call
// that takes too long is answered like any other error.
func Mux(log *slog.Logger, routes map[string]Handler) func(context.Context, Request) (Response, error) {
	return func(ctx context.Context, req Request) (Response, error) {
		handle, ok := routes[req.RouteKey]
		if !ok {
			return Problem(http.StatusNotFound, "There is nothing here."), nil
		}
		ctx, cancel := startup.WithReserve(ctx)
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
			return Problem(http.StatusNotFound, "There is no such thing, or it isn't yours."), nil
		}
		log.ErrorContext(ctx, "request failed", "route", req.RouteKey, "fault", kind, "error", err.Error())
		if kind == fault.Transient || kind == fault.Conflict {
			return Problem(http.StatusServiceUnavailable, "Please try again in a moment."), nil
		}
		return Problem(http.StatusInternalServerError, "The request could not be served."), nil
	}
}

// JSON is an answer that no cache may keep.
func JSON(status int, body any) Response { return respond(status, "application/json", encode(body)) }

// CSV is a table, to be kept as a file of that name.
func CSV(name, table string) Response {
	res := respond(http.StatusOK, "text/csv; charset=utf-8", table)
	res.Headers["Content-Disposition"] = `attachment; filename="` + name + `"`
	return res
}

// ProblemTypes has the name of each status's type of problem: what follows
// [ProblemBase] in an answer's type, and a heading of the page there. A 401 may
// also be of the type of a [Refusal].
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
// is a full path, as RFC 9457, 3.1.1, wants of a relative reference: what is
// deployed under another origin answers with the same types.
const ProblemBase = "/problems.html#"

// Problem is an error answer as of RFC 9457; its title is the status's own. The
// status is one of [ProblemTypes].
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

// Unauthorized is the answer to a call without a live session.
func Unauthorized() Response { return Erased("") }

// Erased is [Unauthorized] that tells, by an extension member (RFC 9457, 3.2), where
// to look up the erasure that the session ended with. It is not told when empty.
func Erased(erasure string) Response {
	return problem(http.StatusUnauthorized, string(NoSession), "There is no session, or it has ended. Connect with Strava to open one.", erasure)
}

// TooMany is the answer to a call that may be repeated after a while, which is
// rounded up to whole seconds.
func TooMany(after time.Duration, detail string) Response {
	res := Problem(http.StatusTooManyRequests, detail)
	res.Headers["Retry-After"] = strconv.FormatInt(int64(math.Ceil(after.Seconds())), 10)
	return res
}

// Redirect is a 302 to location.
func Redirect(location string, cookies ...string) Response {
	return Response{
		StatusCode: http.StatusFound,
		Headers:    map[string]string{"Location": location, "Cache-Control": "no-store"},
		Cookies:    cookies,
	}
}

// contentPolicy is for answers that are data: should a browser ever show one as
// a page, nothing in it runs or loads.
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
		// Answers are plain structs of ours; one that cannot be encoded is a
		// defect, which Lambda reports.
		panic(err)
	}
	return string(b)
}
