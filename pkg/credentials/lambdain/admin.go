package lambdain

import (
	"context"

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
	ActionStatus             = "status"
)

// AdminRequest is what the admin function is invoked with. Only the fields of
// its action count.
type AdminRequest struct {
	Action string `json:"action"`
	// For set_app. An empty VerifyToken keeps the present one.
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
	VerifyToken  string `json:"verify_token,omitempty"`
	// For athletes.
	Cursor string `json:"cursor,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// AdminResponse is the admin function's answer. Only the fields of the
// request's action are set.
type AdminResponse struct {
	Subscription *SubscriptionView `json:"subscription,omitempty"`
	Athletes     []AthleteView     `json:"athletes,omitempty"`
	NextCursor   string            `json:"next_cursor,omitempty"`
	Status       *StatusView       `json:"status,omitempty"`
}

// SubscriptionView is a push subscription. The callback URL's last segment is
// a secret among operators.
type SubscriptionView struct {
	ID          int64  `json:"id"`
	CallbackURL string `json:"callback_url"`
}

// AthleteView is a grant without anything that could be used with it.
type AthleteView struct {
	AthleteID  int64    `json:"athlete_id"`
	Provider   string   `json:"provider"`
	State      string   `json:"state"`
	Scopes     []string `json:"scopes"`
	Generation int64    `json:"generation"`
}

// StatusView is the deployment at a glance.
type StatusView struct {
	ClientID     string            `json:"client_id"`
	Subscription *SubscriptionView `json:"subscription"`
	// Athletes counts the grants by state.
	Athletes map[string]int `json:"athletes"`
}

// Admin serves the admin function.
type Admin struct{ Service *credentials.Admin }

// Handle carries out one action. Its errors are shown to the operator.
func (a *Admin) Handle(ctx context.Context, req AdminRequest) (AdminResponse, error) {
	switch req.Action {
	case ActionSetApp:
		return AdminResponse{}, a.Service.SetApp(ctx, req.ClientID, secret.New(req.ClientSecret), secret.New(req.VerifyToken))
	case ActionEnsureSubscription:
		sub, err := a.Service.EnsureSubscription(ctx)
		return AdminResponse{Subscription: view(sub)}, err
	case ActionShowSubscription:
		sub, err := a.Service.ShowSubscription(ctx)
		return AdminResponse{Subscription: view(sub)}, err
	case ActionDeleteSubscription:
		return AdminResponse{}, a.Service.DeleteSubscription(ctx)
	case ActionAthletes:
		limit := req.Limit
		if limit == 0 {
			limit = 50
		}
		page, next, err := a.Service.Athletes(ctx, req.Cursor, limit)
		res := AdminResponse{Athletes: []AthleteView{}, NextCursor: next}
		for _, g := range page {
			res.Athletes = append(res.Athletes, AthleteView{g.AthleteID, g.Provider, string(g.State), g.Scopes, g.Generation})
		}
		return res, err
	case ActionStatus:
		s, err := a.Service.Status(ctx)
		v := &StatusView{ClientID: s.ClientID, Subscription: view(s.Subscription), Athletes: map[string]int{}}
		for state, n := range s.Athletes {
			v.Athletes[string(state)] = n
		}
		return AdminResponse{Status: v}, err
	}
	return AdminResponse{}, fault.New(fault.Invalid, "unknown action")
}

func view(s credentials.Subscription) *SubscriptionView {
	if s.ID == 0 {
		return nil
	}
	return &SubscriptionView{s.ID, s.CallbackURL}
}
