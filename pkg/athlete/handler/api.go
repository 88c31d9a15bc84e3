package handler

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete"
)

// APIRoutes returns the routes of the HTTP API. They serve the session's
// athlete. An erasure is identified by its unguessable receipt alone, because
// the session has ended by then. Routes that change something accept browsers
// only from siteURL, the site's origin.
func APIRoutes(s *athlete.Service, siteURL string) map[string]api.Handler {
	e := endpoints{s}
	return map[string]api.Handler{
		"GET /v1/me":                 authorized(e.me),
		"DELETE /v1/me":              api.SameOrigin(siteURL, authorized(e.leave)),
		"GET /v1/me/export":          authorized(e.export),
		"POST /v1/me/sync":           api.SameOrigin(siteURL, authorized(e.requestGather)),
		"GET /v1/erasures/{receipt}": e.erasure,
	}
}

type endpoints struct{ service *athlete.Service }

// authorized calls handle for a session whose authorization is not over. It
// answers 401 otherwise, with the receipt if an erasure followed.
func authorized(handle func(context.Context, athlete.Authorization, api.Request) (api.Response, error)) api.Handler {
	return api.Authenticated(func(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
		res, err := handle(ctx, athlete.Authorization{AthleteID: id.AthleteID, Generation: id.Generation}, req)
		if revoked, is := errors.AsType[*athlete.RevokedError](err); is {
			if revoked.Receipt == "" {
				return api.Unauthorized(), nil
			}
			return api.Erased(statusURL(revoked.Receipt)), nil
		}
		return res, err
	})
}

// profile has the fields of [gatheringv1.Athlete] under Strava's names; the
// conversion fails to compile if one is missing.
type profile struct {
	ID            int64  `json:"id"`
	Username      string `json:"username,omitempty"`
	Firstname     string `json:"firstname,omitempty"`
	Lastname      string `json:"lastname,omitempty"`
	ProfileMedium string `json:"profile_medium,omitempty"`
	Profile       string `json:"profile,omitempty"`
	CreatedAt     string `json:"created_at,omitempty"`
}

// States of an authorization.
const (
	stateActive   = "active"
	stateDegraded = "degraded"
)

// consent is what the athlete allowed.
type consent struct {
	State        string    `json:"state"`
	AuthorizedAt time.Time `json:"authorized_at"`
	// Scopes are Strava's; absent until they are known.
	Scopes []string `json:"scopes,omitempty"`
}

// consentOf returns nil if no consent is known.
func consentOf(a athlete.Account) *consent {
	c := a.Consent
	if c == nil {
		return nil
	}
	out := &consent{stateActive, time.UnixMilli(c.Generation).UTC(), c.Scopes}
	if c.Degraded {
		out.State = stateDegraded
	}
	return out
}

// me is the session's athlete. At first only the id is known.
type me struct {
	profile
	Authorization *consent `json:"authorization,omitempty"`
	// LinkedAccounts are accounts at other providers.
	LinkedAccounts []linkedAccount `json:"linked_accounts,omitempty"`
}

// linkedAccount is an account that the athlete has linked.
type linkedAccount struct {
	Provider  string    `json:"provider"`
	AccountID string    `json:"account_id"`
	LinkedAt  time.Time `json:"linked_at"`
}

func linkedAccounts(a athlete.Account) []linkedAccount {
	out := []linkedAccount{}
	for _, l := range a.LinkedAccounts() {
		out = append(out, linkedAccount{l.Provider, l.AccountID, l.LinkedAt})
	}
	return out
}

// me accepts the parameter fields.
func (e endpoints) me(ctx context.Context, by athlete.Authorization, req api.Request) (api.Response, error) {
	fields, err := api.SelectFields[me](req)
	if err != nil {
		return api.Response{}, err
	}
	account, err := e.service.Me(ctx, by)
	out := me{profile{ID: by.AthleteID}, consentOf(account), linkedAccounts(account)}
	if account.Profile != nil {
		out.profile = profile(*account.Profile)
	}
	return api.JSON(http.StatusOK, fields.Of(out)), err
}

type gatherRequest struct {
	RequestedAt time.Time `json:"requested_at"`
	StatusURL   string    `json:"status_url"`
}

func (e endpoints) requestGather(ctx context.Context, by athlete.Authorization, _ api.Request) (api.Response, error) {
	at, err := e.service.RequestGather(ctx, by)
	if tooSoon, is := errors.AsType[athlete.TooSoonError](err); is {
		return api.TooManyRequests(tooSoon.Wait, "A refresh was requested a short while ago. Webhooks bring new activities in the meantime."), nil
	}
	return api.JSON(http.StatusAccepted, gatherRequest{at, "/v1/me/sync"}), err
}

type erasureRequest struct {
	Receipt   string `json:"receipt"`
	StatusURL string `json:"status_url"`
}

func erasureRequestOf(receipt string) *erasureRequest {
	return &erasureRequest{receipt, statusURL(receipt)}
}

// statusURL returns the path under which an erasure can be looked up.
func statusURL(receipt string) string { return api.ErasurePath + receipt }

func (e endpoints) leave(ctx context.Context, by athlete.Authorization, _ api.Request) (api.Response, error) {
	receipt, err := e.service.RequestErasure(ctx, by)
	return api.JSON(http.StatusAccepted, erasureRequestOf(receipt)), err
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
	// Erased is what was erased, in the order of time.
	Erased []erasedPart `json:"erased,omitempty"`
	// CopiesGoneBy is when the last copies in queues and backups have expired.
	CopiesGoneBy time.Time `json:"copies_gone_by,omitzero"`
}

// erasedPart is a kind of data, and when it was erased.
type erasedPart struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
}

// erasedBy maps each boundary to what it erases.
var erasedBy = map[string]string{
	athlete.PartCredentials: "authorization", athlete.PartGathering: "pending_work",
	athlete.PartAthlete: "profile", athlete.PartActivity: "activities",
}

// whatOf returns what a part has erased. If credentials takes no part, only a
// link has ended. A part that is not a boundary is the provider of a linked
// account.
func whatOf(part string, e athlete.Erasure) string {
	what, boundary := erasedBy[part]
	switch {
	case !boundary:
		return "linked_account"
	case !slices.Contains(e.Parts, athlete.PartCredentials):
		return "link"
	}
	return what
}

// maxReceipt is longer than any receipt and shorter than the limit of a
// DynamoDB key.
const maxReceipt = 128

func (e endpoints) erasure(ctx context.Context, req api.Request) (api.Response, error) {
	receipt := req.PathParameters["receipt"]
	if len(receipt) > maxReceipt {
		return api.Response{}, athlete.ErrNoErasure
	}
	found, err := e.service.Erasure(ctx, receipt)
	out := erasure{Receipt: receipt, State: stateRequested, RequestedAt: found.RequestedAt, CompletedAt: found.CompletedAt()}
	if !out.CompletedAt.IsZero() {
		out.State, out.CopiesGoneBy = stateErased, found.CopiesGoneBy()
		for _, part := range found.Parts {
			out.Erased = append(out.Erased, erasedPart{whatOf(part, found), found.Confirmed[part]})
		}
		slices.SortFunc(out.Erased, func(a, b erasedPart) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.What, b.What)) })
	}
	return api.JSON(http.StatusOK, out), err
}
