package credentials

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Requester forwards single calls to a provider on behalf of an account.
type Requester struct {
	Tokens *Tokens
	API    API
	Log    *slog.Logger
}

// callTime is how much of the request's time must be left for a call. Strava
// has been seen to take 4 s for a page of activities.
const callTime = 5 * time.Second

// Forward makes one call for an athlete; see [Requester.Call].
func (r *Requester) Forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	return r.Call(ctx, Call{Athlete(req.AthleteID), req.Generation, req.Path, req.Query, req.CorrelationID})
}

// Call is one call to a provider on behalf of an account.
type Call struct {
	Account    Account
	Generation int64
	Path       string
	Query      map[string]string
	// CorrelationID follows the call through the logs.
	CorrelationID string
}

// Call makes one call, logs it in one line, and counts its error if it has one.
// Its only error is an invalid fault, for a call that is not allowed.
// Everything else is an outcome, whose reason is only logged.
func (r *Requester) Call(ctx context.Context, req Call) (credentialsv1.ForwardResponse, error) {
	rules := r.Tokens.OAuth.Rules()
	if _, ok := req.Account.AthleteID(); !ok && rules.Provider == ProviderStrava || req.Account.Provider != rules.Provider ||
		req.Generation <= 0 || rules.Endpoint(req.Path) == "" {
		return credentialsv1.ForwardResponse{}, fault.New(fault.Invalid, "this call is not allowed")
	}
	began := r.Tokens.Events.Now()
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
	case errors.Is(err, ErrProviderUnavailable):
		res.Outcome = credentialsv1.OutcomeUnavailable
	default:
		res.Outcome = credentialsv1.OutcomeFailed
	}
	r.log(ctx, req, res, answer.Status, r.Tokens.Events.Now().Sub(began), err)
	if name, ok := errorMetric(res); ok {
		r.Tokens.Metrics.Count(name, 1)
	}
	return res, nil
}

// errorMetric returns the metric that counts a response's kind of error. It
// counts neither an authorization that is over or degraded, nor a refusal that
// concerns one activity.
func errorMetric(res credentialsv1.ForwardResponse) (string, bool) {
	switch {
	case res.Outcome == credentialsv1.OutcomeFailed:
		return metric.CallFailed, true
	case res.Outcome == credentialsv1.OutcomeApplication:
		return metric.CallAppRefused, true
	case res.Outcome == credentialsv1.OutcomeUnavailable, res.Status >= http.StatusInternalServerError:
		return metric.CallUnavailable, true
	case res.Status == http.StatusTooManyRequests:
		return metric.CallRateLimited, true
	}
	return "", false
}

// usageFields are the header fields on rate limits, and their keys in the log.
// Each of Strava's has a figure for the quarter hour and one for the day
// (Strava, "Rate Limits"); each of Fitbit's has one for the person's hour
// (Fitbit Web API, Rate Limits).
var usageFields = []struct {
	header, key string
	is          *regexp.Regexp
}{
	{"X-Ratelimit-Usage", "usage", twoFigures}, {"X-Ratelimit-Limit", "limit", twoFigures},
	{"X-Readratelimit-Usage", "read_usage", twoFigures}, {"X-Readratelimit-Limit", "read_limit", twoFigures},
	{"Fitbit-Rate-Limit-Remaining", "remaining", figure}, {"Fitbit-Rate-Limit-Limit", "limit", figure},
}

// Patterns of values from outside that may be logged.
var (
	figure        = regexp.MustCompile(`^[0-9]{1,9}$`)
	twoFigures    = regexp.MustCompile(`^[0-9]{1,9}, ?[0-9]{1,9}$`)
	correlationID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// log writes the line of one forwarded call. status is that of the last
// response, 0 if there was none. The path and the query are left out, because
// they hold ids and times of activities. The athlete is named only if the call
// failed here, perhaps for this athlete alone, because the log outlives an
// erasure.
func (r *Requester) log(ctx context.Context, req Call, res credentialsv1.ForwardResponse, status int, took time.Duration, err error) {
	attrs := []slog.Attr{
		slog.String("provider", req.Account.Provider), slog.String("endpoint", r.Tokens.OAuth.Rules().Endpoint(req.Path)),
		slog.String("outcome", res.Outcome), slog.Int("calls", res.Calls), slog.Int64("duration_ms", took.Milliseconds()),
	}
	if status != 0 {
		attrs = append(attrs, slog.Int("status", status))
	}
	for _, f := range usageFields {
		if v := res.Header[f.header]; f.is.MatchString(v) {
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
		if athleteID, ok := req.Account.AthleteID(); ok {
			attrs = append(attrs, slog.Int64("athlete_id", athleteID))
		} else {
			attrs = append(attrs, slog.String("account", req.Account.String()))
		}
	}
	r.Log.LogAttrs(ctx, level, "call forwarded", attrs...)
}

// call makes the call, and repeats it with a renewed access token if Strava
// refuses the first one. It returns the last response, even with an error, and
// how many calls were sent.
func (r *Requester) call(ctx context.Context, req Call) (last APIResponse, calls int, _ error) {
	var rejected TokenPair
	for {
		pair, err := r.Tokens.Pair(ctx, req.Account, req.Generation, rejected)
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
		case errors.Is(answer.Refused, ErrInsufficientScope) && req.Path == r.Tokens.OAuth.Rules().EssentialPath:
			// The athlete withdrew access to activities. Only connecting again can
			// restore it.
			if err := r.Tokens.Degrade(ctx, req.Account, req.Generation, credentialsv1.DegradedScopeMissing); err != nil {
				return last, calls, err
			}
			return last, calls, ErrDegraded
		case !errors.Is(answer.Refused, ErrAccessTokenInvalid):
			// A scope that is missing for one activity, such as an "Only You" activity,
			// says nothing about the others.
			return last, calls, nil
		case !rejected.Access.Empty():
			// A renewed token was refused as well. Either the authorization is
			// over, which a webhook will report, or Strava has a transient
			// problem.
			return last, calls, fault.New(fault.Transient, "%w: a renewed access token was refused", ErrProviderUnavailable)
		}
		rejected = pair
	}
}
