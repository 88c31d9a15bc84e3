package ddb

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// snapshot holds items of an athlete as they were read.
type snapshot struct {
	athleteID int64
	guard     guardItem
	sync      syncItem
	records   map[int64]activity.Record
	totals    map[string]*activity.MonthlyTotals
	// revisions are those of the totals.
	revisions map[string]dynamo.Revision
}

func newSnapshot(athleteID int64) *snapshot {
	return &snapshot{
		athleteID: athleteID,
		records:   map[int64]activity.Record{}, totals: map[string]*activity.MonthlyTotals{}, revisions: map[string]dynamo.Revision{},
	}
}

// add decodes items into the snapshot.
func (s *snapshot) add(items []dynamo.Item) error {
	for _, item := range items {
		if err := s.addOne(item); err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshot) addOne(item dynamo.Item) error {
	attribute, ok := item["sk"].(*types.AttributeValueMemberS)
	if !ok {
		return fault.New(fault.Permanent, "an item has no sort key")
	}
	switch sk := attribute.Value; {
	case sk == guardKey:
		return dynamo.Decode(item, &s.guard)
	case sk == syncKey:
		return dynamo.Decode(item, &s.sync)
	case strings.HasPrefix(sk, recordPrefix):
		id, record, err := decodeRecord(item)
		s.records[id] = record
		return err
	case strings.HasPrefix(sk, totalsPrefix):
		var i totalsItem
		if err := dynamo.Decode(item, &i); err != nil {
			return err
		}
		totals, err := i.totals()
		s.totals[i.month()], s.revisions[i.month()] = totals, i.Revision
		return err
	}
	return nil
}

// snapshot reads the guard and the items with these sort keys.
func (t *Table) snapshot(ctx context.Context, athleteID int64, sortKeys ...string) (*snapshot, error) {
	s := newSnapshot(athleteID)
	return s, t.extend(ctx, s, append(sortKeys, guardKey))
}

// extend reads more items into the snapshot.
func (t *Table) extend(ctx context.Context, s *snapshot, sortKeys []string) error {
	var keys []dynamo.Item
	for _, sk := range sortKeys {
		keys = append(keys, key(s.athleteID, sk))
	}
	items, err := t.table.BatchGet(ctx, keys)
	if err != nil {
		return err
	}
	return s.add(items)
}
