package ddb_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// put is an empty table that keeps the item that was put last.
type put struct {
	dynamo.API
	item dynamo.Item
}

func (p *put) GetItem(context.Context, *dynamodb.GetItemInput, ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return &dynamodb.GetItemOutput{}, nil
}

func (p *put) PutItem(_ context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	p.item = in.Item
	return &dynamodb.PutItemOutput{}, nil
}

// A grant whose tokens may still be valid never expires; a tombstone outlives
// every late event.
func TestOnlyTombstonesExpire(t *testing.T) {
	ended := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	tokens := credentials.TokenRef{Generation: 1, Version: 1}
	late := []credentials.Candidate{{TokenRef: credentials.TokenRef{Sealed: []byte("sealed")}}}
	for name, tc := range map[string]struct {
		grant   credentials.Grant
		expires bool
	}{
		"in force":                  {credentials.Grant{State: credentials.Active, Tokens: tokens}, false},
		"degraded":                  {credentials.Grant{State: credentials.Degraded, Tokens: tokens}, false},
		"tokens not deleted":        {credentials.Grant{State: credentials.Revoked, Tokens: tokens, RevokedAt: ended}, false},
		"a pair came in afterwards": {credentials.Grant{State: credentials.Erased, Candidates: late, RevokedAt: ended}, false},
		"erased":                    {credentials.Grant{State: credentials.Erased, RevokedAt: ended}, true},
	} {
		tc.grant.Account, tc.grant.Generation = credentials.Athlete(7), 1
		var stored put
		_, err := ddb.NewGrants(&stored, "table").Update(t.Context(), tc.grant.Account, func(g *credentials.Grant) (bool, error) { *g = tc.grant; return true, nil })
		kittest.Must(t, err)
		at, expires := stored.item["expires_at"].(*types.AttributeValueMemberN)
		if expires != tc.expires {
			t.Errorf("%s: expires is %t", name, expires)
		} else if expires && at.Value != strconv.FormatInt(ended.Add(retention.Tombstone).Unix(), 10) {
			t.Errorf("%s: expires at %s", name, at.Value)
		}
	}
}
