package ddb

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Prefixes of the partition keys.
const (
	accountPrefix = "athlete#"
	erasurePrefix = "erasure#"
)

// key is the primary key of an item. Every item embeds it.
type key struct {
	PK string `dynamodbav:"pk"`
}

func accountKey(athleteID int64) key { return key{accountPrefix + strconv.FormatInt(athleteID, 10)} }

func erasureKey(receipt string) key { return key{erasurePrefix + receipt} }

func (k key) item() dynamo.Item { return dynamo.Item{"pk": dynamo.Text(k.PK)} }

// Inventory implements [athlete.Inventory].
type Inventory struct{ table dynamo.Table }

// NewInventory returns the inventory of the named table.
func NewInventory(api dynamo.API, table string) *Inventory {
	return &Inventory{dynamo.Table{API: api, Name: table}}
}

// Each implements [athlete.Inventory] by a scan: the items of some ten thousand
// athletes fit into a few pages.
func (s *Inventory) Each(ctx context.Context, v athlete.Visitor) error {
	for page, err := range s.table.Scan(ctx, &dynamodb.ScanInput{}) {
		if err != nil {
			return err
		}
		for _, item := range page {
			if err := visit(item, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func visit(item dynamo.Item, v athlete.Visitor) error {
	var k key
	if err := dynamo.Decode(item, &k); err != nil {
		return err
	}
	id, is := strings.CutPrefix(k.PK, accountPrefix)
	if !is {
		var e erasureItem
		if err := dynamo.Decode(item, &e); err != nil || v.Erasure == nil {
			return err
		}
		return v.Erasure(e.erasure())
	}
	var a accountItem
	if err := dynamo.Decode(item, &a); err != nil {
		return err
	}
	athleteID, err := strconv.ParseInt(id, 10, 64)
	if err == nil && a.Profile != nil && v.Profile != nil {
		err = v.Profile(athleteID, a.ProfileReadAt.Time())
	}
	if err == nil && a.ErasureRequest != nil && v.ErasureRequest != nil {
		err = v.ErasureRequest(athleteID, a.ErasureRequest.request())
	}
	return err
}
