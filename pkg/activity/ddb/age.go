package ddb

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// AthletesToExpire implements [activity.WriteStore].
func (t *Table) AthletesToExpire(ctx context.Context, until time.Time, limit int) ([]int64, error) {
	oldest := map[int64]dynamo.Millis{}
	for _, kind := range []string{activity.KindTotals, activity.KindDeletion, activity.KindSync} {
		if err := t.oldest(ctx, kind, until, limit, oldest); err != nil {
			return nil, err
		}
	}
	found := slices.SortedFunc(maps.Keys(oldest), func(a, b int64) int { return cmp.Compare(oldest[a], oldest[b]) })
	return found[:min(limit, len(found))], nil
}

// oldest adds at least limit athletes, if there are so many, with an item of
// the kind whose oldest data was read at the time or before.
func (t *Table) oldest(ctx context.Context, kind string, until time.Time, limit int, oldest map[int64]dynamo.Millis) error {
	seen := map[int64]bool{}
	for page, err := range t.table.Query(ctx, &dynamodb.QueryInput{
		IndexName:                 aws.String(settings.ActivitiesByAgeIndex),
		KeyConditionExpression:    aws.String("kind = :kind AND oldest <= :until"),
		ExpressionAttributeValues: dynamo.Item{":kind": dynamo.Text(kind), ":until": dynamo.Number(dynamo.MillisOf(until))},
	}) {
		if err != nil {
			return err
		}
		for _, item := range page {
			var i struct {
				itemKey
				aging
			}
			if err := dynamo.Decode(item, &i); err != nil {
				return err
			}
			seen[i.AthleteID] = true
			if at, known := oldest[i.AthleteID]; !known || i.Oldest < at {
				oldest[i.AthleteID] = i.Oldest
			}
		}
		if len(seen) >= limit {
			return nil
		}
	}
	return nil
}

// auditSegments is how many segments of the table are read in parallel.
const auditSegments = 8

// Ages implements [activity.AuditStore].
func (t *Table) Ages(ctx context.Context, count func(kind string, readAt time.Time)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var segments sync.WaitGroup
	for n := range auditSegments {
		segments.Go(func() {
			err := t.ages(ctx, n, func(kind string, readAt time.Time) {
				mu.Lock()
				defer mu.Unlock()
				count(kind, readAt)
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	segments.Wait()
	return context.Cause(ctx)
}

func (t *Table) ages(ctx context.Context, segment int, count func(kind string, readAt time.Time)) error {
	for page, err := range t.table.Scan(ctx, &dynamodb.ScanInput{
		Segment: aws.Int32(int32(segment)), TotalSegments: aws.Int32(auditSegments),
		ProjectionExpression:     aws.String("sk, #start, read_at, oldest"),
		ExpressionAttributeNames: map[string]string{"#start": "start"},
	}) {
		if err != nil {
			return err
		}
		for _, item := range page {
			var i struct {
				SK     string        `dynamodbav:"sk"`
				Start  string        `dynamodbav:"start"`
				ReadAt dynamo.Millis `dynamodbav:"read_at"`
				Oldest dynamo.Millis `dynamodbav:"oldest"`
			}
			if err := dynamo.Decode(item, &i); err != nil {
				return err
			}
			switch {
			case i.Start != "":
				count(activity.KindActivity, i.ReadAt.Time())
			case strings.HasPrefix(i.SK, recordPrefix):
				count(activity.KindDeletion, i.ReadAt.Time())
			case strings.HasPrefix(i.SK, totalsPrefix):
				count(activity.KindTotals, i.Oldest.Time().Add(time.Hour))
			case i.SK == syncKey && i.Oldest != 0:
				count(activity.KindSync, i.Oldest.Time())
			}
		}
	}
	return nil
}
