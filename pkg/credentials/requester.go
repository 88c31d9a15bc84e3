package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Requester forwards single calls to Strava in an athlete's name.
type Requester struct {
	Tokens *Tokens
	API    API
}

// forwardable lists what may be asked of Strava. Strava's policy forbids
// passing its API on (API Policy 5.16), and there is no reason to let a caller
// inside do more than gathering needs.
var forwardable = regexp.MustCompile(`^/(athlete|athlete/activities|activities/[0-9]{1,19})$`)

// Forward makes one call. It returns an error, an invalid fault, only for a
// request that may not be made; whatever else happens is an outcome.
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
		pair, err := r.Tokens.Pair(ctx, req.AthleteID, req.Generation, rejected)
		if err != nil {
			return APIAnswer{}, err
		}
		answer, err := r.API.Get(ctx, pair.Access, req.Path, req.Query)
		if err != nil {
			return APIAnswer{}, err
		}
		switch {
		case answer.Status == http.StatusForbidden && mentions(answer.Body, "Application"):
			return APIAnswer{}, ErrAppRefused
		case answer.Status != http.StatusUnauthorized || missingScope(answer.Body):
			return answer, nil
		case !rejected.Access.Empty():
			// Renewed and refused again: the authorization itself is gone, and
			// a webhook will say so, or Strava is confused and will recover.
			return APIAnswer{}, fault.New(fault.Transient, "a renewed access token was refused")
		}
		rejected = pair
	}
}

// stravaFault is Strava's error body (Strava API v3 reference, "Fault").
// Its errors member has been seen as a plain string, too.
type stravaFault struct {
	Errors []struct {
		Resource string `json:"resource"`
		Field    string `json:"field"`
		Code     string `json:"code"`
	} `json:"errors"`
}

// mentions reports whether the body blames the resource.
func mentions(body []byte, resource string) bool {
	var f stravaFault
	if json.Unmarshal(body, &f) != nil {
		return false
	}
	for _, e := range f.Errors {
		if e.Resource == resource {
			return true
		}
	}
	return false
}

// missingScope tells a 401 that means "the athlete did not allow this" from
// one that means "this token is dead".
func missingScope(body []byte) bool {
	var f stravaFault
	if json.Unmarshal(body, &f) != nil {
		return false
	}
	for _, e := range f.Errors {
		if e.Resource == "AccessToken" && e.Code == "missing" {
			return true
		}
	}
	return false
}
