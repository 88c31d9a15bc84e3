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

// APIRoutes are the routes of the HTTP API. The athlete is always the
// session's; an erasure is known by its unguessable receipt alone, for after it
// there is no session. What changes something is taken from pages of siteURL, the
// site's origin, and from what is no browser.
func APIRoutes(s *athlete.Service, siteURL string) map[string]api.Handler {
	a := endpoints{s}
	return map[string]api.Handler{
		"GET /v1/me":                 session(a.me),
		"DELETE /v1/me":              api.SameOrigin(siteURL, session(a.leave)),
		"GET /v1/me/export":          session(a.export),
		"POST /v1/me/sync":           api.SameOrigin(siteURL, session(a.refresh)),
		"GET /v1/erasures/{receipt}": a.erasure,
	}
}

type endpoints struct{ service *athlete.Service }

// session calls answer for a live session and answers 401 otherwise, with the
// receipt if the session ended with an erasure.
func session(answer func(context.Context, athlete.Session, api.Request) (api.Response, error)) api.Handler {
	return api.Authenticated(func(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
		res, err := answer(ctx, athlete.Session{AthleteID: id.AthleteID, Generation: id.Generation}, req)
		if revoked, is := errors.AsType[athlete.RevokedError](err); is {
			if revoked.Receipt == "" {
				return api.Unauthorized(), nil
			}
			return api.Erased(statusURL(revoked.Receipt)), nil
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

// States of an authorization.
const (
	stateActive   = "active"
	stateDegraded = "degraded"
)

// authorization is what the athlete allowed.
type authorization struct {
	State        string    `json:"state"`
	AuthorizedAt time.Time `json:"authorized_at"`
	// Scopes are Strava's; absent as long as they aren't known.
	Scopes []string `json:"scopes,omitempty"`
}

// allowed is nil as long as nothing is known of the authorization.
func allowed(a *athlete.Authorization) *authorization {
	if a == nil {
		return nil
	}
	out := &authorization{stateActive, time.UnixMilli(a.Generation).UTC(), a.Scopes}
	if a.Degraded {
		out.State = stateDegraded
	}
	return out
}

// me is the session's athlete. Only the id is known at first.
type me struct {
	profile
	Authorization *authorization `json:"authorization,omitempty"`
	// LinkedAccounts are accounts of other providers.
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
	for _, l := range a.Linked() {
		out = append(out, linkedAccount{l.Provider, l.AccountID, l.LinkedAt})
	}
	return out
}

// me takes fields.
func (a endpoints) me(ctx context.Context, by athlete.Session, req api.Request) (api.Response, error) {
	fields, err := api.SelectFields[me](req)
	if err != nil {
		return api.Response{}, err
	}
	account, err := a.service.Me(ctx, by)
	out := me{profile{ID: by.AthleteID}, allowed(account.Authorization), linkedAccounts(account)}
	if account.Profile != nil {
		out.profile = profile(*account.Profile)
	}
	return api.JSON(http.StatusOK, fields.Of(out)), err
}

// exported is the athlete plane's part of all that is held, and where the other
// parts are.
type exported struct {
	AthleteID     int64          `json:"athlete_id"`
	Authorization *authorization `json:"authorization"`
	// LinkedAccounts are accounts of other providers.
	LinkedAccounts []linkedAccount `json:"linked_accounts"`
	Profile        *profile        `json:"profile"`
	// ProfileReadAt is when the profile was read at Strava.
	ProfileReadAt *time.Time `json:"profile_read_at"`
	// RefreshAskedAt is when the athlete last asked for a refresh.
	RefreshAskedAt *time.Time `json:"refresh_asked_at"`
	// Leaving is the erasure that the athlete asked for.
	Leaving  *left      `json:"leaving"`
	Parts    []part     `json:"parts"`
	Withheld []withheld `json:"withheld"`
}

// part is where more is.
type part struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Href string `json:"href"`
}

// parts are what other boundaries hold. Those that have a next page tell where it
// is.
var parts = []part{
	{"activities", "application/json", "/v1/me/activities?limit=200"},
	{"activities", "text/csv", "/v1/me/activities?limit=200&format=csv"},
	{"totals", "application/json", "/v1/me/stats?by=month"},
	{"gathering", "application/json", "/v1/me/sync"},
	{"keys", "application/json", "/v1/me/keys"},
}

// withheld is what is held and not handed out.
type withheld struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// kept is all that other boundaries hold and no part of an export has.
var kept = []withheld{
	{"access and refresh tokens of Strava and of linked accounts", "They give access to the accounts."},
	{"digests of sessions and keys, and the day of a session's last use", "They recognize your browsers and programs, and nothing else."},
	{"ids of activities that were deleted or hidden, for 7 days", "A message that comes late must not bring one back."},
	{"ids and times of webhook events that wait", "Each is a hint to read an activity, which is among the activities then."},
	{"digests of webhook events, for 3 days", "They tell an event that comes again, and nothing else."},
	{"how far the reading of the history is, in counts and times", "It is for going on; the part called gathering sums it up."},
}

func (a endpoints) export(ctx context.Context, by athlete.Session, _ api.Request) (api.Response, error) {
	account, err := a.service.Me(ctx, by)
	out := exported{
		AthleteID: by.AthleteID, Authorization: allowed(account.Authorization), LinkedAccounts: linkedAccounts(account),
		Profile: (*profile)(account.Profile), RefreshAskedAt: optional(account.Asked), Parts: parts, Withheld: kept,
	}
	if out.Profile != nil {
		out.ProfileReadAt = optional(account.ReadAt)
	}
	if l := account.Leave; l != nil && l.Generation >= by.Generation {
		out.Leaving = leaving(account.Leave.Receipt)
	}
	return api.JSON(http.StatusOK, out), err
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

type refreshing struct {
	RequestedAt time.Time `json:"requested_at"`
	StatusURL   string    `json:"status_url"`
}

func (a endpoints) refresh(ctx context.Context, by athlete.Session, _ api.Request) (api.Response, error) {
	at, err := a.service.Refresh(ctx, by)
	if tooSoon, is := errors.AsType[athlete.TooSoonError](err); is {
		return api.TooManyRequests(tooSoon.Wait, "A refresh was asked for a short while ago. Webhooks bring what is new in the meantime."), nil
	}
	return api.JSON(http.StatusAccepted, refreshing{at, "/v1/me/sync"}), err
}

type left struct {
	Receipt   string `json:"receipt"`
	StatusURL string `json:"status_url"`
}

func leaving(receipt string) *left { return &left{receipt, statusURL(receipt)} }

// statusURL is where an erasure can be looked up.
func statusURL(receipt string) string { return api.ErasurePath + receipt }

func (a endpoints) leave(ctx context.Context, by athlete.Session, _ api.Request) (api.Response, error) {
	receipt, err := a.service.Leave(ctx, by)
	return api.JSON(http.StatusAccepted, leaving(receipt)), err
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
	// Erased is what was erased, in the order in which it was.
	Erased []erasedPart `json:"erased,omitempty"`
	// CopiesGoneBy is when the last copies in queues and backups have expired.
	CopiesGoneBy time.Time `json:"copies_gone_by,omitzero"`
}

// erasedPart is something that was erased, and when that was confirmed.
type erasedPart struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
}

// erased is what each boundary that confirms an erasure erases.
var erased = map[string]string{
	athlete.PartCredentials: "authorization", athlete.PartGathering: "pending_work",
	athlete.PartAthlete: "profile", athlete.PartActivity: "activities",
}

// erasedBy is what a part has erased. Where credentials takes no part, only a link
// has ended; a part that is no boundary is the provider of a linked account.
func erasedBy(part string, e athlete.Erasure) string {
	what, boundary := erased[part]
	switch {
	case !boundary:
		return "linked_account"
	case !slices.Contains(e.Parts, athlete.PartCredentials):
		return "link"
	}
	return what
}

// maxReceipt is longer than any receipt and shorter than any limit of a store.
const maxReceipt = 128

func (a endpoints) erasure(ctx context.Context, req api.Request) (api.Response, error) {
	receipt := req.PathParameters["receipt"]
	if len(receipt) > maxReceipt {
		return api.Response{}, athlete.ErrNoErasure
	}
	e, err := a.service.Erasure(ctx, receipt)
	out := erasure{Receipt: receipt, State: stateRequested, RequestedAt: e.RequestedAt, CompletedAt: e.CompletedAt()}
	if !out.CompletedAt.IsZero() {
		out.State, out.CopiesGoneBy = stateErased, e.CopiesGoneBy()
		for _, part := range e.Parts {
			out.Erased = append(out.Erased, erasedPart{erasedBy(part, e), e.Confirmed[part]})
		}
		slices.SortFunc(out.Erased, func(a, b erasedPart) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.What, b.What)) })
	}
	return api.JSON(http.StatusOK, out), err
}
