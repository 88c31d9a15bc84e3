package credentials_test

import (
	"context"
	"slices"
	"testing"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// interceptor is called right before and right after every call that a process
// makes to another system, in order. It may kill the process there.
type interceptor func(point string)

// points are the calls that interceptors see, as tests name them.
var points = map[string]string{
	"credentials.Grants.Grant":               "reading the grant",
	"credentials.Grants.Update":              "writing the grant",
	"credentials.Vault.App":                  "reading the app",
	"credentials.Vault.Tokens":               "reading tokens",
	"credentials.Vault.Latest":               "reading the latest tokens",
	"credentials.Vault.SaveTokens":           "saving tokens",
	"credentials.Vault.DeleteTokens":         "dropping tokens",
	"credentials.Vault.SavePendingConnect":   "saving the tokens of a connect",
	"credentials.Vault.PendingConnects":      "reading the tokens of connects",
	"credentials.Vault.DeletePendingConnect": "dropping the tokens of a connect",
	"credentials.Sealer.NewSeal":             "preparing a seal",
	"credentials.Sealer.Open":                "opening a sealed pair",
	"credentials.OAuth.Exchange":             "exchanging the code",
	"credentials.OAuth.Refresh":              "asking Strava",
	"credentials.OAuth.Revoke":               "revoking",
	"credentials.Publisher.Publish":          "publishing",
}

func TestPointsAreOperations(t *testing.T) {
	ops := kittest.Operations(credentials.Ports{}, credentialstest.Boundary)
	for op := range points {
		if !slices.Contains(ops, op) {
			t.Errorf("%s is no operation", op)
		}
	}
}

// around calls at before and after a call.
func (at interceptor) around(ctx context.Context, op string, call func(context.Context) error) error {
	what, seen := points[op]
	if !seen {
		return call(ctx)
	}
	at("before " + what)
	err := call(ctx)
	at("after " + what)
	return err
}

// stores has at called around all calls of stores, and of the bus.
func (at interceptor) stores(s *credentials.TokenStore) {
	p := credentialstest.Intercept(credentials.Ports{Grants: s.Grants, Vault: s.Vault, Sealer: s.Sealer, Publisher: s.Publisher}, at.around)
	s.Grants, s.Vault, s.Sealer, s.Publisher = p.Grants, p.Vault, p.Sealer, p.Publisher
}

func (at interceptor) oauth(o credentials.OAuth) credentials.OAuth {
	return credentialstest.Intercept(credentials.Ports{OAuth: o}, at.around).OAuth
}

// watch has at called around all of the process's calls.
func (at interceptor) watch(t *credentials.Tokens) *credentials.Tokens {
	at.stores(&t.TokenStore)
	t.OAuth = at.oauth(t.OAuth)
	return t
}

// watchReconciler has at called around the calls of a reconciler and its parts.
func (at interceptor) watchReconciler(r *credentials.Reconciler) *credentials.Reconciler {
	watched := rewire(r, at.stores)
	watched.setOAuth(at.oauth(r.Revocation.OAuth))
	return watched.Reconciler
}

// watchConnect has at called around the calls that a connect makes after the
// callback.
func (at interceptor) watchConnect(c credentials.Connect) *credentials.Connect {
	at.stores(&c.TokenStore)
	c.OAuth = at.oauth(c.OAuth)
	return &c
}
