package ddb

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// dueJobs returns a query of the index for the jobs that are due.
func dueJobs(class quota.Class, at time.Time) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		IndexName:                 aws.String(settings.WorkIndex),
		KeyConditionExpression:    aws.String("#queue = :queue AND #due <= :at"),
		ExpressionAttributeNames:  map[string]string{"#queue": "queue", "#due": "due"},
		ExpressionAttributeValues: dynamo.Item{":queue": dynamo.Text(string(class)), ":at": dynamo.Number(dynamo.MillisOf(at))},
	}
}

// Due implements [gathering.JobQueue].
func (t *Table) Due(ctx context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) ([]gathering.JobRef, error) {
	query := dueJobs(class, at)
	query.Limit = aws.Int32(int32(limit))
	if after != nil {
		sk := stateSK
		if after.Kind == gathering.JobInbox {
			sk = inboxSK
		}
		query.ExclusiveStartKey = athleteKey(after.AthleteID, sk).item()
		query.ExclusiveStartKey["queue"], query.ExclusiveStartKey["due"] = dynamo.Text(string(after.Class)), dynamo.Number(dynamo.MillisOf(after.Due))
	}
	items, _, err := t.table.QueryPage(ctx, query)
	if err != nil {
		return nil, err
	}
	var refs []gathering.JobRef
	for _, item := range items {
		ref, err := toJobRef(item)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// toJobRef decodes an item of the index.
func toJobRef(encoded dynamo.Item) (gathering.JobRef, error) {
	var item struct {
		itemKey
		jobItem
	}
	if err := dynamo.Decode(encoded, &item); err != nil {
		return gathering.JobRef{}, err
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(item.PK, athletePK), 10, 64)
	if err != nil {
		return gathering.JobRef{}, fault.New(fault.Permanent, "the key %q of an item of the index names no athlete", item.PK)
	}
	kind := gathering.JobScan
	if item.SK == inboxSK {
		kind = gathering.JobInbox
	}
	return gathering.JobRef{AthleteID: id, Kind: kind, Class: quota.Class(item.Queue), Due: item.Due.Time()}, nil
}

// Waiting implements [gathering.JobQueue].
func (t *Table) Waiting(ctx context.Context, class quota.Class, at time.Time) (gathering.Waiting, error) {
	first, err := t.Due(ctx, class, at, nil, 1)
	if err != nil || len(first) == 0 {
		return gathering.Waiting{}, err
	}
	n, err := t.table.Count(ctx, dueJobs(class, at))
	if err != nil {
		return gathering.Waiting{}, err
	}
	return gathering.Waiting{Count: n, Oldest: first[0].Due}, nil
}
