package handler

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Actions of the admin function.
const (
	ActionSetApp             = "set_app"
	ActionEnsureSubscription = "ensure_subscription"
	ActionShowSubscription   = "show_subscription"
	ActionDeleteSubscription = "delete_subscription"
	ActionAthletes           = "athletes"
	ActionRevokeAthlete      = "revoke_athlete"
	ActionStatus             = "status"
	ActionWaitlist           = "waitlist"
	ActionRemoveFromWaitlist = "remove_waiting"
	ActionClearWaitlist      = "clear_waiting"
	ActionEndSessions        = "end_sessions"
	ActionRevokeAll          = "revoke_all"
	ActionClearStage         = "clear_stage"
)

// AdminRequest is the input of the admin function. It uses only the fields of
// its action.
type AdminRequest struct {
	Action string `json:"action"`
	// The fields of set_app. An empty VerifyToken keeps the stored one.
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
	VerifyToken  string `json:"verify_token,omitempty"`
	// Replace is for ensure_subscription: replace a subscription to another host.
	Replace bool `json:"replace,omitempty"`
	// Provider is for set_app and athletes; Strava if it is empty.
	Provider string `json:"provider,omitempty"`
	// The fields of athletes. IdleDays selects those who have not signed in for so
	// long; a page may then be empty and not the last. Cursor also continues
	// end_sessions, which ends a page at a time.
	Cursor   string `json:"cursor,omitempty"`
	Limit    int    `json:"limit,omitempty"`
	IdleDays int    `json:"idle_days,omitempty"`
	// AthleteID is for revoke_athlete.
	AthleteID int64 `json:"athlete_id,omitempty"`
	// Contact is for remove_waiting.
	Contact string `json:"contact,omitempty"`
	// Abandon is for clear_stage: clear the stage even while authorizations
	// remain.
	Abandon bool `json:"abandon,omitempty"`
}

// AdminResponse is the output of the admin function. Only the fields of the
// request's action are set.
type AdminResponse struct {
	Subscription *SubscriptionView `json:"subscription,omitempty"`
	Athletes     []AthleteView     `json:"athletes,omitempty"`
	NextCursor   string            `json:"next_cursor,omitempty"`
	Status       *StatusView       `json:"status,omitempty"`
	// Receipt of the erasure that revoke_athlete led to.
	Receipt string `json:"receipt,omitempty"`
	// Receipts, of status and revoke_all, are for count-erasures of the athlete
	// plane: it may not know of these erasures yet.
	Receipts []ReceiptView       `json:"receipts,omitempty"`
	Waitlist []WaitlistEntryView `json:"waiting,omitempty"`
	// Replaced says that set_app replaced a registration that could not be read.
	// Strava's subscription has to be ensured then.
	Replaced bool `json:"replaced,omitempty"`
	// Ended counts the authorizations that revoke_all ended, the sessions that
	// end_sessions ended, or the contacts that clear_waiting forgot.
	Ended int `json:"ended,omitempty"`
	// Remaining counts the authorizations left after revoke_all. Call it until
	// none is left.
	Remaining *RemainingView `json:"remains,omitempty"`
	// Cleared is the result of clear_stage. Call it until it deletes no
	// parameters.
	Cleared *ClearedView `json:"cleared,omitempty"`
}

// RemainingView counts the authorizations that a stage still has, as
// [credentials.Remaining].
type RemainingView struct {
	InForce int `json:"in_force"`
	Ending  int `json:"ending"`
	Failing int `json:"failing"`
}

// ReceiptView names an erasure, as [credentials.IssuedReceipt].
type ReceiptView struct {
	Receipt     string    `json:"receipt"`
	RequestedAt time.Time `json:"requested_at"`
}

// ClearedView is what was deleted of a stage. Subscription is a
// [credentials.ClearedSubscription].
type ClearedView struct {
	Parameters   int    `json:"parameters"`
	Subscription string `json:"subscription"`
}

// SubscriptionView is a push subscription. The last segment of the callback URL
// is secret: show it to operators only.
type SubscriptionView struct {
	ID          int64  `json:"id"`
	CallbackURL string `json:"callback_url"`
}

// AthleteView is a grant without its tokens.
type AthleteView struct {
	Provider string `json:"provider"`
	// AccountID is Strava's athlete id in decimal, or the id of the account at
	// another provider.
	AccountID  string   `json:"account_id"`
	State      string   `json:"state"`
	Scopes     []string `json:"scopes"`
	Generation int64    `json:"generation"`
	// SignedInAt is when the athlete last signed in.
	SignedInAt time.Time `json:"signed_in_at"`
}

// WaitlistEntryView is an entry of the waitlist.
type WaitlistEntryView struct {
	Contact string    `json:"contact"`
	Since   time.Time `json:"since"`
}

// StatusView is the deployment at a glance.
type StatusView struct {
	ClientID     string            `json:"client_id"`
	Subscription *SubscriptionView `json:"subscription"`
	// Athletes counts the grants by state.
	Athletes map[string]int `json:"athletes"`
	// Authorized is how many of them take up a place at Strava; Capacity is
	// how many places there are.
	Authorized int `json:"authorized"`
	Capacity   int `json:"capacity"`
}

// Admin serves the admin function.
type Admin struct {
	Service *credentials.Admin
	Log     *slog.Logger
}

// Handle performs one action. Its errors are shown to the operator.
func (a *Admin) Handle(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	perform := map[string]func(context.Context, AdminRequest) (AdminResponse, error){
		ActionSetApp:             a.setApp,
		ActionEnsureSubscription: a.ensureSubscription,
		ActionShowSubscription:   a.showSubscription,
		ActionDeleteSubscription: a.deleteSubscription,
		ActionAthletes:           a.athletes,
		ActionRevokeAthlete:      a.revokeAthlete,
		ActionStatus:             a.status,
		ActionWaitlist:           a.waitlist,
		ActionRemoveFromWaitlist: a.removeFromWaitlist,
		ActionClearWaitlist:      a.clearWaitlist,
		ActionEndSessions:        a.endSessions,
		ActionRevokeAll:          a.revokeAll,
		ActionClearStage:         a.clearStage,
	}[req.Action]
	if perform == nil {
		return AdminResponse{}, fault.New(fault.Invalid, "unknown action %q", req.Action)
	}
	return perform(ctx, req)
}

func (a *Admin) setApp(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	clientSecret := secret.New(req.ClientSecret)
	switch {
	case cmp.Or(req.Provider, credentials.ProviderStrava) == credentials.ProviderStrava:
	case req.VerifyToken != "":
		return AdminResponse{}, fault.New(fault.Invalid, "only Strava's application has a verify token")
	default:
		return AdminResponse{}, a.Service.SetProviderApp(ctx, req.Provider, req.ClientID, clientSecret)
	}
	replaced, err := a.Service.SetApp(ctx, req.ClientID, clientSecret, secret.New(req.VerifyToken))
	if replaced {
		a.Log.WarnContext(ctx, "the admin replaced an unreadable registration")
	}
	return AdminResponse{Replaced: replaced}, err
}

func (a *Admin) ensureSubscription(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	sub, err := a.Service.EnsureSubscription(ctx, req.Replace)
	return AdminResponse{Subscription: view(sub)}, err
}

func (a *Admin) showSubscription(ctx context.Context, _ AdminRequest) (AdminResponse, error) {
	sub, err := a.Service.ShowSubscription(ctx)
	return AdminResponse{Subscription: view(sub)}, err
}

func (a *Admin) deleteSubscription(ctx context.Context, _ AdminRequest) (AdminResponse, error) {
	return AdminResponse{}, a.Service.DeleteSubscription(ctx)
}

func (a *Admin) revokeAthlete(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	receipt, err := a.Service.RevokeAthlete(ctx, req.AthleteID)
	if err == nil {
		a.Log.InfoContext(ctx, "the admin ended an authorization", "athlete_id", req.AthleteID)
	}
	return AdminResponse{Receipt: receipt}, err
}

func (a *Admin) status(ctx context.Context, _ AdminRequest) (AdminResponse, error) {
	s, err := a.Service.Status(ctx)
	v := &StatusView{
		ClientID: s.ClientID, Subscription: view(s.Subscription), Athletes: map[string]int{},
		Authorized: s.Authorized, Capacity: s.Capacity,
	}
	for state, n := range s.Athletes {
		v.Athletes[string(state)] = n
	}
	return AdminResponse{Status: v, Receipts: receipts(s.Receipts)}, err
}

func (a *Admin) waitlist(ctx context.Context, _ AdminRequest) (AdminResponse, error) {
	entries, err := a.Service.Waitlist.List(ctx)
	res := AdminResponse{Waitlist: []WaitlistEntryView{}}
	for _, e := range entries {
		res.Waitlist = append(res.Waitlist, WaitlistEntryView(e))
	}
	return res, err
}

func (a *Admin) removeFromWaitlist(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	err := a.Service.Waitlist.Remove(ctx, req.Contact)
	if err == nil {
		a.Log.InfoContext(ctx, "the admin removed a contact from the waitlist")
	}
	return AdminResponse{}, err
}

func (a *Admin) clearWaitlist(ctx context.Context, _ AdminRequest) (AdminResponse, error) {
	n, err := a.Service.Waitlist.Clear(ctx)
	a.Log.InfoContext(ctx, "the admin cleared the waitlist", "contacts", n)
	return AdminResponse{Ended: n}, err
}

func (a *Admin) endSessions(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	n, next, err := a.Service.Sessions.EndStage(ctx, req.Cursor)
	a.Log.InfoContext(ctx, "the admin ended sessions", "sessions", n)
	return AdminResponse{Ended: n, NextCursor: next}, err
}

func (a *Admin) revokeAll(ctx context.Context, _ AdminRequest) (AdminResponse, error) {
	all, err := a.Service.RevokeAll(ctx)
	if all.Ended > 0 {
		a.Log.InfoContext(ctx, "the admin ended authorizations to clear the stage", "count", all.Ended)
	}
	view := RemainingView(all.Remaining)
	return AdminResponse{Ended: all.Ended, Remaining: &view, Receipts: receipts(all.Receipts)}, err
}

func (a *Admin) clearStage(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	c, err := a.Service.Clear(ctx, req.Abandon)
	if err == nil {
		a.Log.InfoContext(ctx, "the admin cleared the stage", "subscription", string(c.Subscription), "parameters", c.Parameters, "abandon", req.Abandon)
	}
	return AdminResponse{Cleared: &ClearedView{c.Parameters, string(c.Subscription)}}, err
}

func (a *Admin) athletes(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	provider := cmp.Or(req.Provider, credentials.ProviderStrava)
	limit := req.Limit
	if limit == 0 {
		limit = 50
	}
	var page []credentials.Grant
	var next string
	var err error
	if req.IdleDays == 0 {
		page, next, err = a.Service.Athletes(ctx, provider, req.Cursor, limit)
	} else {
		page, next, err = a.Service.IdleAthletes(ctx, provider, req.Cursor, limit, time.Duration(req.IdleDays)*24*time.Hour)
	}
	res := AdminResponse{Athletes: []AthleteView{}, NextCursor: next}
	for _, g := range page {
		res.Athletes = append(res.Athletes, AthleteView{g.Account.Provider, g.Account.ID, string(g.State), g.Scopes, g.Generation, g.SignedInAt()})
	}
	return res, err
}

func receipts(issued []credentials.IssuedReceipt) (views []ReceiptView) {
	for _, r := range issued {
		views = append(views, ReceiptView(r))
	}
	return views
}

func view(s credentials.Subscription) *SubscriptionView {
	if s.ID == 0 {
		return nil
	}
	return &SubscriptionView{s.ID, s.CallbackURL}
}
