package ddb

import (
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// chunkItems has, for each chunk, how many activities it held and when they
// were read, as [dynamo.Millis].
type chunkItems map[int][2]int64

func chunkItemsOf(chunks map[int]activity.StoredChunk) chunkItems {
	if chunks == nil {
		return nil
	}
	out := chunkItems{}
	for n, c := range chunks {
		out[n] = [2]int64{int64(c.Activities), int64(dynamo.MillisOf(c.ReadAt))}
	}
	return out
}

func (items chunkItems) chunks() map[int]activity.StoredChunk {
	if items == nil {
		return nil
	}
	out := map[int]activity.StoredChunk{}
	for n, c := range items {
		out[n] = activity.StoredChunk{Activities: int(c[0]), ReadAt: dynamo.Millis(c[1]).Time()}
	}
	return out
}

type syncItem struct {
	dynamo.Revision
	itemKey
	aging
	Generation int64         `dynamodbav:"generation"`
	ScanID     string        `dynamodbav:"scan_id"`
	Sequence   int64         `dynamodbav:"sequence"`
	State      string        `dynamodbav:"state"`
	Chunks     int           `dynamodbav:"chunks"`
	WaitingFor string        `dynamodbav:"waiting_for,omitempty"`
	ResumesAt  dynamo.Millis `dynamodbav:"resumes_at,omitempty"`
	FinishesAt dynamo.Millis `dynamodbav:"finishes_at,omitempty"`
	StartedAt  dynamo.Millis `dynamodbav:"started_at,omitempty"`
	Covered    rangeItems    `dynamodbav:"covered,omitempty"`
	Confirmed  bool          `dynamodbav:"confirmed,omitempty"`
	Stored     chunkItems    `dynamodbav:"stored"`
	Reconciled bool          `dynamodbav:"reconciled,omitempty"`
	Before     chunkItems    `dynamodbav:"before"`
}

func syncItemOf(athleteID int64, s activity.Sync) syncItem {
	item := syncItem{
		Revision: dynamo.NewRevision(),
		itemKey:  itemKey{athleteID, syncKey}, aging: aging{Kind: activity.KindSync},
		Generation: s.Generation, ScanID: s.ScanID, Sequence: s.Sequence, State: s.State, Chunks: s.Chunks,
		WaitingFor: s.WaitingFor, ResumesAt: optional(s.ResumesAt), FinishesAt: optional(s.FinishesAt), StartedAt: dynamo.MillisOf(s.StartedAt),
		Covered: rangeItemsOf(s.Covered), Confirmed: s.Confirmed,
		Stored: chunkItemsOf(s.Stored), Reconciled: s.Reconciled, Before: chunkItemsOf(s.Before),
	}
	for _, chunks := range []map[int]activity.StoredChunk{s.Stored, s.Before} {
		for _, chunk := range chunks {
			if at := dynamo.MillisOf(chunk.ReadAt); item.Oldest == 0 || at < item.Oldest {
				item.Oldest = at
			}
		}
	}
	return item
}

func (i syncItem) sync() activity.Sync {
	return activity.Sync{
		Generation: i.Generation, ScanID: i.ScanID, Sequence: i.Sequence, State: i.State, Chunks: i.Chunks,
		WaitingFor: i.WaitingFor, ResumesAt: pointer(i.ResumesAt), FinishesAt: pointer(i.FinishesAt), StartedAt: i.StartedAt.Time(),
		Covered: i.Covered.ranges(), Confirmed: i.Confirmed,
		Stored: i.Stored.chunks(), Reconciled: i.Reconciled, Before: i.Before.chunks(),
	}
}

// optional returns 0 for nil.
func optional(t *time.Time) dynamo.Millis {
	if t == nil {
		return 0
	}
	return dynamo.MillisOf(*t)
}

// pointer returns nil for 0.
func pointer(m dynamo.Millis) *time.Time {
	if m == 0 {
		return nil
	}
	t := m.Time()
	return &t
}
