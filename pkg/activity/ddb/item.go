package ddb

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Sort keys. A query from fenceKey on finds everything but the rows, which are
// most of what there is.
const (
	rowPrefix   = "activity#"
	fenceKey    = "authorization"
	syncKey     = "sync"
	tallyPrefix = "tally#"
)

func rowKey(id int64) string { return rowPrefix + strconv.FormatInt(id, 10) }

func tallyKey(month string) string { return tallyPrefix + month }

func startKey(p activity.Position) string {
	return fmt.Sprintf("%s#%019d", time.Unix(p.Start, 0).UTC().Format(time.RFC3339), p.ID)
}

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

type attributeValues = map[string]types.AttributeValue

func key(athleteID int64, sk string) attributeValues {
	return attributeValues{"athlete_id": number(athleteID), "sk": text(sk)}
}

// itemKey is what all items have.
type itemKey struct {
	AthleteID int64  `dynamodbav:"athlete_id"`
	SK        string `dynamodbav:"sk"`
}

// rowItem is what the rows of activities, present and gone, have in common.
type rowItem struct {
	itemKey
	Generation int64 `dynamodbav:"generation"`
	// ReadAt is in Unix nanoseconds.
	ReadAt int64 `dynamodbav:"read_at"`
	// ExpiresAt is in Unix seconds.
	ExpiresAt int64 `dynamodbav:"expires_at"`
}

// goneItem is the row of a gone activity. No tally tells of its age.
type goneItem struct {
	rowItem
	aging
}

type activityItem struct {
	rowItem
	// Start is empty when what was read is the row of a gone activity.
	Start string `dynamodbav:"start"`
	attributes
}

// attributes are those of [gatheringv1.Activity]; that one converts to the
// other makes sure that none is forgotten.
type attributes struct {
	ID                 int64    `dynamodbav:"id"`
	Name               string   `dynamodbav:"name"`
	SportType          string   `dynamodbav:"sport_type"`
	StartDate          string   `dynamodbav:"start_date"`
	StartDateLocal     string   `dynamodbav:"start_date_local"`
	Timezone           string   `dynamodbav:"timezone,omitempty"`
	Distance           float64  `dynamodbav:"distance"`
	MovingTime         int64    `dynamodbav:"moving_time"`
	ElapsedTime        int64    `dynamodbav:"elapsed_time"`
	TotalElevationGain float64  `dynamodbav:"total_elevation_gain"`
	AverageSpeed       *float64 `dynamodbav:"average_speed,omitempty"`
	MaxSpeed           *float64 `dynamodbav:"max_speed,omitempty"`
	AverageHeartrate   *float64 `dynamodbav:"average_heartrate,omitempty"`
	MaxHeartrate       *float64 `dynamodbav:"max_heartrate,omitempty"`
	AverageWatts       *float64 `dynamodbav:"average_watts,omitempty"`
	Kilojoules         *float64 `dynamodbav:"kilojoules,omitempty"`
	Trainer            bool     `dynamodbav:"trainer"`
	Commute            bool     `dynamodbav:"commute"`
	Manual             bool     `dynamodbav:"manual"`
	Private            bool     `dynamodbav:"private"`
	Visibility         string   `dynamodbav:"visibility,omitempty"`
	DeviceName         string   `dynamodbav:"device_name,omitempty"`
}

func marshalRow(athleteID, activityID int64, r activity.Row) (attributeValues, error) {
	item := rowItem{
		itemKey:    itemKey{athleteID, rowKey(activityID)},
		Generation: r.Generation, ReadAt: r.ReadAt.UnixNano(), ExpiresAt: activity.LapsesAt(r.ReadAt).Unix(),
	}
	if r.Activity == nil {
		return attributevalue.MarshalMap(goneItem{item, aging{activity.KindGone, r.ReadAt.Unix()}})
	}
	p, err := activity.PositionOf(*r.Activity)
	if err != nil {
		return nil, err
	}
	return attributevalue.MarshalMap(activityItem{rowItem: item, Start: startKey(p), attributes: attributes(*r.Activity)})
}

func unmarshalRow(m attributeValues) (id int64, r activity.Row, err error) {
	var item activityItem
	if err := attributevalue.UnmarshalMap(m, &item); err != nil {
		return 0, r, err
	}
	r = activity.Row{Generation: item.Generation, ReadAt: time.Unix(0, item.ReadAt).UTC()}
	if item.Start != "" {
		a := gatheringv1.Activity(item.attributes)
		r.Activity = &a
	}
	id, err = strconv.ParseInt(strings.TrimPrefix(item.SK, rowPrefix), 10, 64)
	return id, r, err
}

// aging is what the items of [settings.ActivitiesByAgeIndex] have.
type aging struct {
	// Kind is one of [activity.KindTally], [activity.KindGone] and
	// [activity.KindSync].
	Kind string `dynamodbav:"kind"`
	// Oldest is when the oldest that the item tells of was read, in Unix seconds
	// and, for a tally, rounded down to the hour. An item without it is not in the
	// index.
	Oldest int64 `dynamodbav:"oldest,omitempty"`
}

type tallyItem struct {
	itemKey
	aging
	Revision string `dynamodbav:"revision"`
	// Sums has, by day and sport type, e.g. "05 Ride", the parts of
	// [activity.Sum] in their order.
	Sums   map[string][5]int64 `dynamodbav:"sums"`
	ReadIn map[int64]int       `dynamodbav:"read_in"`
}

func tallyItemOf(athleteID int64, month, revision string, t *activity.Tally) tallyItem {
	item := tallyItem{
		itemKey: itemKey{athleteID, tallyKey(month)}, aging: aging{activity.KindTally, t.Oldest().Unix()},
		Revision: revision, Sums: map[string][5]int64{}, ReadIn: t.ReadIn,
	}
	for slot, s := range t.Sums {
		item.Sums[fmt.Sprintf("%02d %s", slot.Day, slot.SportType)] = [5]int64{s.Count, s.Distance, s.MovingTime, s.ElapsedTime, s.TotalElevationGain}
	}
	return item
}

func (i tallyItem) month() string { return strings.TrimPrefix(i.SK, tallyPrefix) }

func (i tallyItem) tally() (*activity.Tally, error) {
	t := activity.NewTally()
	for name, s := range i.Sums {
		day, sportType, _ := strings.Cut(name, " ")
		n, err := strconv.Atoi(day)
		if err != nil {
			return nil, fmt.Errorf("tally: %w", err)
		}
		t.Sums[activity.Slot{Day: n, SportType: sportType}] = activity.Sum{
			Count: s[0], Distance: s[1], MovingTime: s[2], ElapsedTime: s[3], TotalElevationGain: s[4],
		}
	}
	for hour, n := range i.ReadIn {
		t.ReadIn[hour] = n
	}
	return t, nil
}

// rangeItems have, of each [activity.Range], its start and id at both ends.
type rangeItems [][4]int64

func rangeItemsOf(ranges []activity.Range) (out rangeItems) {
	for _, r := range ranges {
		out = append(out, [4]int64{r.From.Start, r.From.ID, r.To.Start, r.To.ID})
	}
	return out
}

func (items rangeItems) ranges() (out []activity.Range) {
	for _, i := range items {
		out = append(out, activity.Range{From: activity.Position{Start: i[0], ID: i[1]}, To: activity.Position{Start: i[2], ID: i[3]}})
	}
	return out
}

// scanItem is an [activity.CompletedScan].
type scanItem struct {
	Generation int64      `dynamodbav:"generation"`
	Began      time.Time  `dynamodbav:"began"`
	Covered    rangeItems `dynamodbav:"covered,omitempty"`
}

type fenceItem struct {
	itemKey
	Revision   string `dynamodbav:"revision"`
	Authorized int64  `dynamodbav:"authorized_generation,omitempty"`
	Revoked    int64  `dynamodbav:"revoked_generation,omitempty"`
	Limited    int64  `dynamodbav:"limited_generation,omitempty"`
	Closed     int64  `dynamodbav:"closed_generation,omitempty"`
	// Scan is nil when no scan is complete.
	Scan *scanItem `dynamodbav:"scan,omitempty"`
	// ExpiresAt is in Unix seconds; 0 for never.
	ExpiresAt int64 `dynamodbav:"expires_at,omitempty"`
}

func fenceItemOf(athleteID int64, revision string, f activity.Fence) fenceItem {
	item := fenceItem{
		itemKey: itemKey{athleteID, fenceKey}, Revision: revision,
		Authorized: f.Authorized, Revoked: f.Revoked, Limited: f.Limited, Closed: f.Closed,
	}
	if f.Scan != nil {
		item.Scan = &scanItem{f.Scan.Generation, f.Scan.Began, rangeItemsOf(f.Scan.Covered)}
	}
	if !f.Expires.IsZero() {
		item.ExpiresAt = f.Expires.Unix()
	}
	return item
}

func (i fenceItem) fence() activity.Fence {
	f := activity.Fence{Authorized: i.Authorized, Revoked: i.Revoked, Limited: i.Limited, Closed: i.Closed}
	if i.Scan != nil {
		f.Scan = &activity.CompletedScan{Generation: i.Scan.Generation, Began: i.Scan.Began, Covered: i.Scan.Covered.ranges()}
	}
	if i.ExpiresAt != 0 {
		f.Expires = time.Unix(i.ExpiresAt, 0).UTC()
	}
	return f
}

// chunkItems has, for each chunk, how many activities it held and when they were
// read, in Unix nanoseconds.
type chunkItems map[int][2]int64

func chunkItemsOf(chunks map[int]activity.StoredChunk) chunkItems {
	if chunks == nil {
		return nil
	}
	out := chunkItems{}
	for n, c := range chunks {
		out[n] = [2]int64{int64(c.Activities), c.ReadAt.UnixNano()}
	}
	return out
}

func (items chunkItems) chunks() map[int]activity.StoredChunk {
	if items == nil {
		return nil
	}
	out := map[int]activity.StoredChunk{}
	for n, c := range items {
		out[n] = activity.StoredChunk{Activities: int(c[0]), ReadAt: time.Unix(0, c[1]).UTC()}
	}
	return out
}

type syncItem struct {
	itemKey
	aging
	Revision   string     `dynamodbav:"revision"`
	Generation int64      `dynamodbav:"generation"`
	ScanID     string     `dynamodbav:"scan_id"`
	Sequence   int64      `dynamodbav:"sequence"`
	State      string     `dynamodbav:"state"`
	Chunks     int        `dynamodbav:"chunks"`
	WaitingFor string     `dynamodbav:"waiting_for,omitempty"`
	ResumesAt  *time.Time `dynamodbav:"resumes_at,omitempty"`
	FinishesAt *time.Time `dynamodbav:"finishes_at,omitempty"`
	StartedAt  time.Time  `dynamodbav:"started_at"`
	Covered    rangeItems `dynamodbav:"covered,omitempty"`
	Confirmed  bool       `dynamodbav:"confirmed,omitempty"`
	Stored     chunkItems `dynamodbav:"stored"`
	Settled    bool       `dynamodbav:"settled,omitempty"`
	Before     chunkItems `dynamodbav:"before"`
}

func syncItemOf(athleteID int64, revision string, s activity.Sync) syncItem {
	item := syncItem{
		itemKey: itemKey{athleteID, syncKey}, aging: aging{Kind: activity.KindSync}, Revision: revision,
		Generation: s.Generation, ScanID: s.ScanID, Sequence: s.Sequence, State: s.State, Chunks: s.Chunks,
		WaitingFor: s.WaitingFor, ResumesAt: s.ResumesAt, FinishesAt: s.FinishesAt, StartedAt: s.StartedAt,
		Covered: rangeItemsOf(s.Covered), Confirmed: s.Confirmed,
		Stored: chunkItemsOf(s.Stored), Settled: s.Settled, Before: chunkItemsOf(s.Before),
	}
	for _, chunks := range []map[int]activity.StoredChunk{s.Stored, s.Before} {
		for _, chunk := range chunks {
			if at := chunk.ReadAt.Unix(); item.Oldest == 0 || at < item.Oldest {
				item.Oldest = at
			}
		}
	}
	return item
}

func (i syncItem) sync() activity.Sync {
	return activity.Sync{
		Generation: i.Generation, ScanID: i.ScanID, Sequence: i.Sequence, State: i.State, Chunks: i.Chunks,
		WaitingFor: i.WaitingFor, ResumesAt: i.ResumesAt, FinishesAt: i.FinishesAt, StartedAt: i.StartedAt,
		Covered: i.Covered.ranges(), Confirmed: i.Confirmed,
		Stored: i.Stored.chunks(), Settled: i.Settled, Before: i.Before.chunks(),
	}
}
