package httpapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Request and Response are API Gateway's, payload format 2.0.
type (
	Request  = events.APIGatewayV2HTTPRequest
	Response = events.APIGatewayV2HTTPResponse
)

// Handler answers one route.
type Handler func(ctx context.Context, req Request) (Response, error)

// Identity is whom a session belongs to.
type Identity struct {
	AthleteID int64
	// Generation of the authorization that the session was opened under.
	Generation int64
}

// Keys of the authorizer's context. Values are decimal strings: API Gateway
// would turn large numbers into floats.
const (
	contextAthleteID  = "athlete_id"
	contextGeneration = "generation"
)

// Context is the identity as the authorizer hands it on.
func (id Identity) Context() map[string]any {
	return map[string]any{
		contextAthleteID:  strconv.FormatInt(id.AthleteID, 10),
		contextGeneration: strconv.FormatInt(id.Generation, 10),
	}
}

func identify(req Request) (Identity, bool) {
	a := req.RequestContext.Authorizer
	if a == nil {
		return Identity{}, false
	}
	number := func(key string) int64 {
		s, _ := a.Lambda[key].(string)
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	id := Identity{AthleteID: number(contextAthleteID), Generation: number(contextGeneration)}
	return id, id.AthleteID > 0 && id.Generation > 0
}

// Authenticated answers 401 when there is no identity and calls handle
// otherwise.
func Authenticated(handle func(ctx context.Context, id Identity, req Request) (Response, error)) Handler {
	return func(ctx context.Context, req Request) (Response, error) {
		id, ok := identify(req)
		if !ok {
			return Unauthorized(), nil
		}
		return handle(ctx, id, req)
	}
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
		ctx, cancel := boot.WithReserve(ctx)
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
// [ProblemBase] in an answer's type, and a heading of the page there.
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
func Problem(status int, detail string) Response { return problem(status, detail, "") }

func problem(status int, detail, erasure string) Response {
	return respond(status, "application/problem+json", encode(struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		Erasure string `json:"erasure,omitempty"`
	}{ProblemBase + ProblemTypes[status], http.StatusText(status), status, detail, erasure}))
}

// Unauthorized is the answer to a call without a live session.
func Unauthorized() Response { return Erased("") }

// Erased is [Unauthorized] that tells, by an extension member (RFC 9457, 3.2), where
// to look up the erasure that the session ended with. It is not told when empty.
func Erased(erasure string) Response {
	return problem(http.StatusUnauthorized, "There is no session, or it has ended. Connect with Strava to open one.", erasure)
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
