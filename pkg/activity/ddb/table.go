package ddb

import (
	"context"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Table is the activities table. It implements [activity.WriteStore],
// [activity.ReadStore] and [activity.AuditStore].
type Table struct{ table dynamo.Table }

// New returns the store in the named table.
func New(api dynamo.API, name string) *Table {
	return &Table{dynamo.Table{API: api, Name: name}}
}

// Get implements [activity.ReadStore].
func (t *Table) Get(ctx context.Context, by activity.Authorization, activityID int64) (activity.Record, error) {
	s, err := t.snapshot(ctx, by.AthleteID, recordKey(activityID))
	if err != nil {
		return activity.Record{}, err
	}
	return s.records[activityID], s.guard.guard().Admit(by)
}

// Sync implements [activity.ReadStore].
func (t *Table) Sync(ctx context.Context, by activity.Authorization) (activity.Sync, error) {
	s, err := t.snapshot(ctx, by.AthleteID, syncKey)
	if err != nil {
		return activity.Sync{}, err
	}
	return s.sync.sync(), s.guard.guard().Admit(by)
}

// MonthlyTotals implements [activity.ReadStore].
func (t *Table) MonthlyTotals(ctx context.Context, by activity.Authorization) (map[string]*activity.MonthlyTotals, error) {
	s := newSnapshot(by.AthleteID)
	for page, err := range t.table.Query(ctx, &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("athlete_id = :athlete_id AND sk >= :from"),
		ExpressionAttributeValues: dynamo.Item{":athlete_id": dynamo.Number(by.AthleteID), ":from": dynamo.Text(guardKey)},
	}) {
		if err == nil {
			err = s.add(page)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.totals, s.guard.guard().Admit(by)
}

// Records implements [activity.ReadStore].
func (t *Table) Records(ctx context.Context, athleteID int64) ([]activity.Record, error) {
	var out []activity.Record
	for records, err := range t.records(ctx, athleteID) {
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			out = append(out, r)
		}
	}
	return out, nil
}

// records yields all records by their activities' ids, page by page.
func (t *Table) records(ctx context.Context, athleteID int64) iter.Seq2[map[int64]activity.Record, error] {
	return func(yield func(map[int64]activity.Record, error) bool) {
		for page, err := range t.table.Query(ctx, withPrefix(athleteID, recordPrefix)) {
			s := newSnapshot(athleteID)
			if err == nil {
				err = s.add(page)
			}
			if !yield(s.records, err) || err != nil {
				return
			}
		}
	}
}

// withPrefix queries an athlete's items by the beginning of their sort key.
func withPrefix(athleteID int64, prefix string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("athlete_id = :athlete_id AND begins_with(sk, :prefix)"),
		ExpressionAttributeValues: dynamo.Item{":athlete_id": dynamo.Number(athleteID), ":prefix": dynamo.Text(prefix)},
	}
}

// filteredPage is how many items a page of a query has if a filter leaves some
// out.
const filteredPage = 500

// List implements [activity.ReadStore].
func (t *Table) List(ctx context.Context, by activity.Authorization, sel activity.Selection) (activity.Page, error) {
	page, newest, err := t.list(ctx, by.AthleteID, sel)
	if err != nil || len(page.Records) > 0 && newest <= by.Generation {
		// There are records of no later authorization, so this one is not over, or
		// its erasure is in progress.
		return page, err
	}
	s, err := t.snapshot(ctx, by.AthleteID)
	if err != nil {
		return activity.Page{}, err
	}
	return page, s.guard.guard().Admit(by)
}

// list also returns the newest generation of the records that it examined.
func (t *Table) list(ctx context.Context, athleteID int64, sel activity.Selection) (out activity.Page, newest int64, err error) {
	query := byStart(athleteID, sel)
	if query == nil {
		return activity.Page{}, 0, nil
	}
	for examined := 0; ; {
		page, next, err := t.table.QueryPage(ctx, query)
		if err != nil {
			return activity.Page{}, 0, err
		}
		var last activity.Record
		for _, item := range page {
			_, r, err := decodeRecord(item)
			if err != nil {
				return activity.Page{}, 0, err
			}
			newest = max(newest, r.Generation)
			last = r
			if !sel.Matches(r) {
				continue
			}
			if len(out.Records) == sel.Limit {
				out.Next, err = after(out.Records[sel.Limit-1])
				return out, newest, err
			}
			out.Records = append(out.Records, r)
		}
		if examined += len(page); examined >= activity.SearchDepth {
			out.Next, err = after(last)
			return out, newest, err
		}
		if next == nil {
			return out, newest, nil
		}
		// The first page left records out, so the filter matters.
		query.ExclusiveStartKey, query.Limit = next, aws.Int32(filteredPage)
	}
}

// byStart queries the selection's range, newest first. It returns nil for an
// empty range.
func byStart(athleteID int64, sel activity.Selection) *dynamodb.QueryInput {
	// BETWEEN includes both ends. No activity has the id 0, so this is the last
	// key below To, or one that no activity has.
	last := sel.In.To
	if last.ID > 0 {
		last.ID--
	}
	from, to := startKey(sel.In.From), startKey(last)
	if from > to {
		return nil
	}
	query := &dynamodb.QueryInput{
		IndexName:                aws.String(settings.ActivitiesByStartIndex),
		KeyConditionExpression:   aws.String("athlete_id = :athlete_id AND #start BETWEEN :from AND :to"),
		ExpressionAttributeNames: map[string]string{"#start": "start"},
		ExpressionAttributeValues: dynamo.Item{
			":athlete_id": dynamo.Number(athleteID), ":from": dynamo.Text(from), ":to": dynamo.Text(to),
		},
		ScanIndexForward: aws.Bool(false),
		Limit:            aws.Int32(int32(sel.Limit + 1)), // One more shows whether there is another page.
	}
	if sel.SportType != "" || sel.Name != "" {
		query.Limit = aws.Int32(filteredPage)
	}
	return query
}

// after returns the Next of a page that ends with the record.
func after(r activity.Record) (*activity.Position, error) {
	p, err := activity.PositionOf(*r.Activity)
	return &p, err
}
