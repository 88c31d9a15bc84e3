package credentials

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Requester forwards single calls to Strava in an athlete's name.
type Requester struct {
	Tokens *Tokens
	API    API
	Log    *slog.Logger
}

// activitiesPath is refused for a missing scope if the authorization covers no
// activities at all.
const activitiesPath = "/athlete/activities"

var activityPath = regexp.MustCompile(`^/activities/[0-9]{1,19}$`)

// endpoint returns the kind of endpoint at a path that may be called, and "" for
// any other path. What may be called is only what gathering needs, since Strava
// forbids passing its API on (API Policy 5.16).
func endpoint(path string) string {
	switch {
	case path == "/athlete":
		return "athlete"
	case path == activitiesPath:
		return "activities"
	case activityPath.MatchString(path):
		return "activity"
	}
	return ""
}

// callTime is how much of the request's time must be left for a call. Strava
// has been seen to take 4 s for a page of activities.
const callTime = 5 * time.Second

// Forward makes one call, logs it in one line, and counts its error if it has
// one. Forward's only error is an invalid fault, for a call that may not be
// forwarded; everything else is an outcome, whose reason is only logged.
func (r *Requester) Forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	if endpoint(req.Path) == "" || req.AthleteID <= 0 || req.Generation <= 0 {
		return credentialsv1.ForwardResponse{}, fault.New(fault.Invalid, "this call may not be forwarded")
	}
	began := r.Tokens.Minter.Now()
	answer, calls, err := r.call(ctx, req)
	res := credentialsv1.ForwardResponse{Header: answer.Header, Calls: calls}
	switch {
	case err == nil:
		res.Outcome, res.Status, res.Body = credentialsv1.OutcomeAnswered, answer.Status, string(answer.Body)
	case errors.Is(err, ErrRevoked):
		res.Outcome = credentialsv1.OutcomeRevoked
	case errors.Is(err, ErrDegraded):
		res.Outcome = credentialsv1.OutcomeDegraded
	case errors.Is(err, ErrAppRefused):
		res.Outcome = credentialsv1.OutcomeApplication
	case errors.Is(err, ErrStravaUnavailable):
		res.Outcome = credentialsv1.OutcomeUnavailable
	default:
		res.Outcome = credentialsv1.OutcomeFailed
	}
	r.log(ctx, req, res, answer.Status, r.Tokens.Minter.Now().Sub(began), err)
	if metric, ok := errorMetric(res); ok {
		r.Tokens.Metrics.Count(string(metric), 1)
	}
	return res, nil
}

// errorMetric returns the metric that counts a response's kind of error. An
// authorization that is over or degraded is no error, nor is a refusal that
// concerns one activity.
func errorMetric(res credentialsv1.ForwardResponse) (Metric, bool) {
	switch {
	case res.Outcome == credentialsv1.OutcomeFailed:
		return MetricCallFailed, true
	case res.Outcome == credentialsv1.OutcomeApplication:
		return MetricCallAppRefused, true
	case res.Outcome == credentialsv1.OutcomeUnavailable, res.Status >= http.StatusInternalServerError:
		return MetricCallUnavailable, true
	case res.Status == http.StatusTooManyRequests:
		return MetricCallRateLimited, true
	}
	return "", false
}

// usageFields are Strava's header fields on the rate limits, each a figure for
// the quarter hour and one for the day (Strava, "Rate Limits"), and what they are
// called in the log.
var usageFields = []struct{ header, key string }{
	{"X-Ratelimit-Usage", "usage"}, {"X-Ratelimit-Limit", "limit"},
	{"X-Readratelimit-Usage", "read_usage"}, {"X-Readratelimit-Limit", "read_limit"},
}

// What the log takes over from outside.
var (
	figures       = regexp.MustCompile(`^[0-9]{1,9}, ?[0-9]{1,9}$`)
	correlationID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// log writes the line of one forwarded call. status is that of the last answer,
// 0 if there was none. The path and the query are left out: they hold ids and
// times of activities. The athlete is named only where a fault of ours may be
// theirs alone, because the log outlives an erasure.
func (r *Requester) log(ctx context.Context, req credentialsv1.ForwardRequest, res credentialsv1.ForwardResponse, status int, took time.Duration, err error) {
	attrs := []slog.Attr{
		slog.String("provider", ProviderStrava), slog.String("endpoint", endpoint(req.Path)),
		slog.String("outcome", res.Outcome), slog.Int("calls", res.Calls), slog.Int64("duration_ms", took.Milliseconds()),
	}
	if status != 0 {
		attrs = append(attrs, slog.Int("status", status))
	}
	for _, f := range usageFields {
		if v := res.Header[f.header]; figures.MatchString(v) {
			attrs = append(attrs, slog.String(f.key, v))
		}
	}
	if correlationID.MatchString(req.CorrelationID) {
		attrs = append(attrs, slog.String("correlation_id", req.CorrelationID))
	}
	if err != nil {
		attrs = append(attrs, slog.String("fault", string(fault.Of(err))), slog.String("error", err.Error()))
	}
	level := slog.LevelInfo
	switch res.Outcome {
	case credentialsv1.OutcomeUnavailable, credentialsv1.OutcomeApplication:
		level = slog.LevelWarn
	case credentialsv1.OutcomeFailed:
		level = slog.LevelError
		attrs = append(attrs, slog.Int64("athlete_id", req.AthleteID))
	}
	r.Log.LogAttrs(ctx, level, "call forwarded", attrs...)
}

// call makes the call, and repeats it with a renewed access token if Strava
// refuses the first one. It returns the last answer, even with an error, and
// how many calls were sent.
func (r *Requester) call(ctx context.Context, req credentialsv1.ForwardRequest) (last APIAnswer, calls int, _ error) {
	var rejected TokenPair
	for {
		pair, err := r.Tokens.Pair(ctx, Athlete(req.AthleteID), req.Generation, rejected)
		if err != nil {
			return last, calls, err
		}
		if tooLate(ctx, callTime) {
			return last, calls, errTooLate
		}
		answer, err := r.API.Get(ctx, pair.Access, req.Path, req.Query)
		if answer.Sent {
			calls++
		}
		if err != nil {
			return last, calls, unavailable(ctx, err)
		}
		last = answer
		switch {
		case errors.Is(answer.Refused, ErrAppRefused):
			return last, calls, ErrAppRefused
		case errors.Is(answer.Refused, ErrScopeMissing) && req.Path == activitiesPath:
			// The athlete withdrew access to activities. Only connecting again can
			// restore it.
			if err := r.Tokens.Degrade(ctx, Athlete(req.AthleteID), req.Generation, credentialsv1.DegradedScopeMissing); err != nil {
				return last, calls, err
			}
			return last, calls, ErrDegraded
		case !errors.Is(answer.Refused, ErrAccessTokenDead):
			// A scope that is missing for one activity, such as an "Only You" activity,
			// says nothing about the others.
			return last, calls, nil
		case !rejected.Access.Empty():
			// A renewed token was refused as well. Either the authorization is gone,
			// which a webhook will report, or Strava has a passing problem.
			return last, calls, fault.New(fault.Transient, "%w: a renewed access token was refused", ErrStravaUnavailable)
		}
		rejected = pair
	}
}
