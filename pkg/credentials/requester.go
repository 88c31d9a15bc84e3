package credentials

import (
	"context"
	"errors"
	"log/slog"
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

// forwardable matches the paths that may be called: only what gathering needs,
// since Strava forbids passing its API on (API Policy 5.16).
var forwardable = regexp.MustCompile(`^/(athlete|athlete/activities|activities/[0-9]{1,19})$`)

// callTime is how much of the request's time must be left for a call. Strava
// has been seen to take 4 s for a page of activities.
const callTime = 5 * time.Second

// Forward makes one call. Its only error is an invalid fault, for a call that
// may not be forwarded; everything else is an outcome. The reason for
// [credentialsv1.OutcomeFailed] is only logged.
func (r *Requester) Forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	if !forwardable.MatchString(req.Path) || req.AthleteID <= 0 || req.Generation <= 0 {
		return credentialsv1.ForwardResponse{}, fault.New(fault.Invalid, "this call may not be forwarded")
	}
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
		r.Log.ErrorContext(ctx, "a call to Strava could not be made or finished",
			"athlete_id", req.AthleteID, "calls", calls, "fault", fault.Of(err), "error", err.Error())
	}
	return res, nil
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
