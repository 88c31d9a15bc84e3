package ddb_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
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

// A tombstone outlives every late event, and an athlete without one does not
// expire.
func TestOnlyTombstonesExpire(t *testing.T) {
	ended := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, a := range []gathering.Athlete{
		{ID: 7, Generation: 1, State: gathering.Active},
		{ID: 7, Generation: 1, State: gathering.Degraded},
		{ID: 7, Generation: 1, State: gathering.Revoked, RevokedAt: ended},
	} {
		var stored put
		_, err := ddb.New(&stored, "table").Update(t.Context(), 7, func(of *gathering.Athlete) (bool, error) { *of = a; return true, nil })
		kittest.Must(t, err)
		at, expires := stored.item["expires_at"].(*types.AttributeValueMemberN)
		if want := a.State == gathering.Revoked; expires != want {
			t.Errorf("%s: expires is %t", a.State, expires)
		} else if expires && at.Value != strconv.FormatInt(ended.Add(retention.Tombstone).Unix(), 10) {
			t.Errorf("%s: expires at %s", a.State, at.Value)
		}
	}
}
