package credentials

import (
	"context"
	"testing"

	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestCachedPairsAreBounded(t *testing.T) {
	var tokens Tokens
	for id := range int64(maxCached + 10) {
		tokens.cachePair(Grant{Account: Athlete(id + 1)}, TokenPair{})
	}
	if n := len(tokens.cached); n != maxCached {
		t.Errorf("%d pairs", n)
	}
	if _, ok := tokens.cached[Athlete(maxCached+10)]; !ok {
		t.Error("the last one is not among them")
	}
}

// storedGrant is a grants table that holds one grant.
type storedGrant struct {
	Grants
	grant Grant
	err   error
}

func (s storedGrant) Grant(context.Context, Account) (Grant, error) { return s.grant, s.err }

func TestACachedPairIsForgottenWithItsGrant(t *testing.T) {
	for name, stored := range map[string]storedGrant{
		"left":      {grant: Grant{Generation: 1, State: Revoked}},
		"forgotten": {err: fault.New(fault.NotFound, "no such grant")},
	} {
		tokens := Tokens{TokenStore: TokenStore{Ledger: Ledger{Grants: stored}}}
		tokens.cachePair(Grant{Account: Athlete(7), Generation: 1}, TokenPair{})
		if _, _, err := tokens.currentPair(t.Context(), Athlete(7), 1, Grant.callable); err == nil {
			t.Errorf("%s: no error", name)
		}
		if len(tokens.cached) != 0 {
			t.Errorf("%s: its pair is in memory", name)
		}
	}
}
