package credentials

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Accounts lets workers of other systems list the accounts of a provider and
// make calls on behalf of one, without access to tokens. Only IAM admits its
// callers.
type Accounts struct {
	Grants    Grants
	Requester *Requester
	// Providers are the names of all providers.
	Providers []string
}

// List returns one page of the grants of a provider's accounts, in every state.
// cursor and next are as in [Grants.List]. The error is an invalid fault for an
// unknown provider or a limit that is not between 1 and 200.
func (a *Accounts) List(ctx context.Context, provider, cursor string, limit int) (page []Grant, next string, err error) {
	return listGrants(ctx, a.Grants, a.Providers, provider, cursor, limit)
}

func listGrants(ctx context.Context, grants Grants, providers []string, provider, cursor string, limit int) (page []Grant, next string, err error) {
	if !slices.Contains(providers, provider) {
		return nil, "", fault.New(fault.Invalid, "there is no provider %q; there are: %s", provider, strings.Join(providers, ", "))
	}
	if limit < 1 || limit > 200 {
		return nil, "", fault.New(fault.Invalid, "the limit is not between 1 and 200")
	}
	return grants.List(ctx, provider, cursor, limit)
}

// Call makes one call to the provider's API on behalf of an account, if the
// path is on the allow-list; see [Requester.Call].
//
// Its errors are an invalid fault for a call that is not allowed, and a
// transient one if the grant cannot be read.
func (a *Accounts) Call(ctx context.Context, account Account, path string) (credentialsv1.ForwardResponse, error) {
	if rules := a.Requester.Tokens.OAuth.Rules(); account.Provider != rules.Provider {
		return credentialsv1.ForwardResponse{}, fault.New(fault.Invalid, "this function calls %s only", rules.Provider)
	}
	grant, err := callStore(ctx, func(ctx context.Context) (Grant, error) { return a.Grants.Grant(ctx, account) })
	if fault.Is(err, fault.NotFound) || err == nil && !grant.inForce() {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeRevoked}, nil
	}
	if err != nil {
		return credentialsv1.ForwardResponse{}, fmt.Errorf("read grant: %w", err)
	}
	return a.Requester.Call(ctx, Call{Account: account, Generation: grant.Generation, Path: path})
}
