package handler

import (
	"cmp"
	"context"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Actions of use-accounts.
const (
	ActionListAccounts = "list"
	ActionCall         = "call"
)

// AccountsRequest is the input of use-accounts. It uses only the fields of its
// action.
type AccountsRequest struct {
	Action   string `json:"action"`
	Provider string `json:"provider"`
	// Cursor and Limit are for list: next_cursor of the page before, and the
	// number of accounts in a page; 50 if Limit is 0, at most 200.
	Cursor string `json:"cursor,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	// AccountID and Path are for call.
	AccountID string `json:"account_id,omitempty"`
	Path      string `json:"path,omitempty"`
}

// AccountsResponse is the output of use-accounts. It contains no token, and
// nothing that leads to one.
type AccountsResponse struct {
	Accounts   []AccountView `json:"accounts,omitempty"`
	NextCursor string        `json:"next_cursor,omitempty"`
	// Answer is the result of call.
	Answer *credentialsv1.ForwardResponse `json:"answer,omitempty"`
}

// AccountView is an account in a page of the list.
type AccountView struct {
	AccountID string `json:"account_id"`
	// State is active, degraded, revoked or erased. Calls are made for active
	// ones.
	State string `json:"state"`
	// Owner is the id of the athlete who linked the account; absent for an
	// athlete's own.
	Owner  int64    `json:"owner,omitempty"`
	Scopes []string `json:"scopes"`
}

// Accounts serves use-accounts.
type Accounts struct{ Service *credentials.Accounts }

// Handle performs one action. Its errors are shown to the caller.
func (a *Accounts) Handle(ctx context.Context, req AccountsRequest) (AccountsResponse, error) {
	switch req.Action {
	case ActionListAccounts:
		page, next, err := a.Service.List(ctx, req.Provider, req.Cursor, cmp.Or(req.Limit, 50))
		res := AccountsResponse{Accounts: []AccountView{}, NextCursor: next}
		for _, g := range page {
			res.Accounts = append(res.Accounts, AccountView{g.Account.ID, string(g.State), g.Owner.AthleteID, append([]string{}, g.Scopes...)})
		}
		return res, err
	case ActionCall:
		answer, err := a.Service.Call(ctx, credentials.Account{Provider: req.Provider, ID: req.AccountID}, req.Path)
		if err != nil {
			return AccountsResponse{}, err
		}
		return AccountsResponse{Answer: &answer}, nil
	}
	return AccountsResponse{}, fault.New(fault.Invalid, "unknown action %q", req.Action)
}
