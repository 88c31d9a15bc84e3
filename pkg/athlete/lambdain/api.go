package lambdain

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

// APIRoutes are the routes of the HTTP API. The athlete is always the
// session's; an erasure is known by its unguessable receipt alone, for after it
// there is no session.
func APIRoutes(s *athlete.Service) map[string]httpapi.Handler {
	a := api{s}
	return map[string]httpapi.Handler{
		"GET /v1/me":                 session(a.me),
		"DELETE /v1/me":              session(a.leave),
		"GET /v1/erasures/{receipt}": a.erasure,
	}
}

type api struct{ service *athlete.Service }

// session calls answer for a live session and answers 401 otherwise.
func session(answer func(context.Context, athlete.Session) (httpapi.Response, error)) httpapi.Handler {
	return httpapi.Authenticated(func(ctx context.Context, id httpapi.Identity, _ httpapi.Request) (httpapi.Response, error) {
		res, err := answer(ctx, athlete.Session(id))
		if errors.Is(err, athlete.ErrRevoked) {
			return httpapi.Unauthorized(), nil
		}
		return res, err
	})
}

// profile is an athlete in an answer, its names Strava's. That
// [gatheringv1.Athlete] converts to it makes sure that nothing is forgotten.
type profile struct {
	ID            int64  `json:"id"`
	Username      string `json:"username,omitempty"`
	Firstname     string `json:"firstname,omitempty"`
	Lastname      string `json:"lastname,omitempty"`
	ProfileMedium string `json:"profile_medium,omitempty"`
	Profile       string `json:"profile,omitempty"`
	CreatedAt     string `json:"created_at,omitempty"`
}

func (a api) me(ctx context.Context, by athlete.Session) (httpapi.Response, error) {
	me, err := a.service.Me(ctx, by)
	return httpapi.JSON(http.StatusOK, profile(me)), err
}

type left struct {
	Receipt   string `json:"receipt"`
	StatusURL string `json:"status_url"`
}

func (a api) leave(ctx context.Context, by athlete.Session) (httpapi.Response, error) {
	receipt, err := a.service.Leave(ctx, by)
	return httpapi.JSON(http.StatusAccepted, left{receipt, "/v1/erasures/" + receipt}), err
}

// States of an erasure.
const (
	stateRequested = "requested"
	stateErased    = "erased"
)

type erasure struct {
	Receipt     string    `json:"receipt"`
	State       string    `json:"state"`
	RequestedAt time.Time `json:"requested_at"`
	CompletedAt time.Time `json:"completed_at,omitzero"`
}

// maxReceipt is longer than any receipt and shorter than any limit of a store.
const maxReceipt = 128

func (a api) erasure(ctx context.Context, req httpapi.Request) (httpapi.Response, error) {
	receipt := req.PathParameters["receipt"]
	if len(receipt) > maxReceipt {
		return httpapi.Response{}, athlete.ErrNoErasure
	}
	e, err := a.service.Erasure(ctx, receipt)
	out := erasure{Receipt: e.Receipt, State: stateRequested, RequestedAt: e.RequestedAt, CompletedAt: e.CompletedAt}
	if !e.CompletedAt.IsZero() {
		out.State = stateErased
	}
	return httpapi.JSON(http.StatusOK, out), err
}
