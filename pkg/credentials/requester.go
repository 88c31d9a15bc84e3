package credentials

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Requester forwards single calls to Strava in an athlete's name.
type Requester struct {
	Tokens *Tokens
	API    API
}

// activitiesPath is refused for want of a scope when the authorization covers
// no activities at all.
const activitiesPath = "/athlete/activities"

// forwardable lists what may be asked of Strava. Strava's policy forbids
// passing its API on (API Policy 5.16), and there is no reason to let a caller
// inside do more than gathering needs.
var forwardable = regexp.MustCompile(`^/(athlete|athlete/activities|activities/[0-9]{1,19})$`)

// Forward makes one call. It returns an error only for a request that may not
// be made, an invalid fault, and for tokens that are missing or damaged in the
// vault; whatever else happens is an outcome.
func (r *Requester) Forward(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
	if !forwardable.MatchString(req.Path) || req.AthleteID <= 0 || req.Generation <= 0 {
		return credentialsv1.ForwardResponse{}, fault.New(fault.Invalid, "this call may not be forwarded")
	}
	answer, err := r.call(ctx, req)
	switch {
	case errors.Is(err, ErrRevoked):
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeRevoked}, nil
	case errors.Is(err, ErrDegraded):
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeDegraded}, nil
	case errors.Is(err, ErrAppRefused):
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeApplication}, nil
	case fault.Is(err, fault.Transient):
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable}, nil
	case err != nil:
		return credentialsv1.ForwardResponse{}, fmt.Errorf("forward: %w", err)
	}
	return credentialsv1.ForwardResponse{
		Outcome: credentialsv1.OutcomeAnswered,
		Status:  answer.Status,
		Header:  answer.Header,
		Body:    string(answer.Body),
	}, nil
}

// call makes the call and, when Strava refuses the access token as such, once
// more with a renewed one.
func (r *Requester) call(ctx context.Context, req credentialsv1.ForwardRequest) (APIAnswer, error) {
	var rejected TokenPair
	for {
		pair, err := r.Tokens.Pair(ctx, Athlete(req.AthleteID), req.Generation, rejected)
		if err != nil {
			return APIAnswer{}, err
		}
		answer, err := r.API.Get(ctx, pair.Access, req.Path, req.Query)
		if err != nil {
			return APIAnswer{}, err
		}
		switch {
		case errors.Is(answer.Refused, ErrAppRefused):
			return APIAnswer{}, ErrAppRefused
		case errors.Is(answer.Refused, ErrScopeMissing) && req.Path == activitiesPath:
			// The athlete took the activities back, and nothing but connecting
			// again can change that.
			if err := r.Tokens.Degrade(ctx, Athlete(req.AthleteID), req.Generation, credentialsv1.DegradedScopeMissing); err != nil {
				return APIAnswer{}, err
			}
			return APIAnswer{}, ErrDegraded
		case !errors.Is(answer.Refused, ErrAccessTokenDead):
			// A scope that is missing for one activity, such as one that only
			// its owner may see, says nothing of the others.
			return answer, nil
		case !rejected.Access.Empty():
			// Renewed and refused again: the authorization itself is gone, and
			// a webhook will say so, or Strava is confused and will recover.
			return APIAnswer{}, fault.New(fault.Transient, "a renewed access token was refused")
		}
		rejected = pair
	}
}
