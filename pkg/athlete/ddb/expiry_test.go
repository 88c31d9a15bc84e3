package ddb_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/kit/dynamo/dynamotest"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

func TestAccountsExpire(t *testing.T) {
	for _, a := range []athlete.Account{
		{Consent: &athlete.Consent{Generation: 1}},
		{RevokedGeneration: 1, ExpiresAt: time.Date(2026, 7, 1, 12, 0, 0, 700_000_000, time.UTC)},
	} {
		var written dynamotest.LastWrite
		var memory athletetest.Accounts
		for _, s := range []athlete.Accounts{ddb.NewAccounts(&written, "table"), &memory} {
			_, err := s.Update(t.Context(), 7, func(of *athlete.Account) (bool, error) { *of = a; return true, nil })
			kittest.Must(t, err)
		}
		if expires := written.ExpiresAt(); expires.IsZero() != a.ExpiresAt.IsZero() || !expires.IsZero() && expires.Unix() != a.ExpiresAt.Unix() {
			t.Errorf("expires at %s, want %s", expires, a.ExpiresAt)
		}
		written.Expires(t, memory.DropExpired)
	}
}
