package ddb

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Sort keys. A query from guardKey on finds everything but the records, which
// are the bulk of the items.
const (
	recordPrefix = "activity#"
	guardKey     = "guard"
	syncKey      = "sync"
	totalsPrefix = "totals#"
)

func recordKey(id int64) string { return recordPrefix + strconv.FormatInt(id, 10) }

func totalsKey(month string) string { return totalsPrefix + month }

func startKey(p activity.Position) string {
	return fmt.Sprintf("%s#%019d", time.Unix(p.Start, 0).UTC().Format(time.RFC3339), p.ID)
}

func key(athleteID int64, sk string) dynamo.Item {
	return dynamo.Item{"athlete_id": dynamo.Number(athleteID), "sk": dynamo.Text(sk)}
}

// itemKey has the keys of every item.
type itemKey struct {
	AthleteID int64  `dynamodbav:"athlete_id"`
	SK        string `dynamodbav:"sk"`
}

// aging has the keys of the items in [settings.ActivitiesByAgeIndex].
type aging struct {
	// Kind is one of [activity.KindTotals], [activity.KindDeletion] and
	// [activity.KindSync].
	Kind string `dynamodbav:"kind"`
	// Oldest is when the oldest data of the item was read; for totals, the
	// beginning of that hour. An item without it is not in the index.
	Oldest dynamo.Millis `dynamodbav:"oldest,omitempty"`
}

// recordItem has the attributes of every record.
type recordItem struct {
	itemKey
	Generation int64          `dynamodbav:"generation"`
	ReadAt     dynamo.Millis  `dynamodbav:"read_at"`
	ExpiresAt  dynamo.Seconds `dynamodbav:"expires_at"`
}

// deletionItem is the record of an activity that Strava no longer shows. No
// totals include it, so it has an age of its own.
type deletionItem struct {
	recordItem
	aging
}

type activityItem struct {
	recordItem
	// Start is empty if the item is that of a deletion.
	Start string `dynamodbav:"start"`
	attributes
}

// attributes are those of [gatheringv1.Activity]. The conversion between the
// two types compiles only if none is missing.
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

func encodeRecord(athleteID, activityID int64, r activity.Record) (dynamo.Item, error) {
	item := recordItem{
		itemKey:    itemKey{athleteID, recordKey(activityID)},
		Generation: r.Generation, ReadAt: dynamo.MillisOf(r.ReadAt), ExpiresAt: dynamo.SecondsOf(activity.ExpiresAt(r.ReadAt)),
	}
	if r.Activity == nil {
		return dynamo.Encode(deletionItem{item, aging{activity.KindDeletion, item.ReadAt}})
	}
	p, err := activity.PositionOf(*r.Activity)
	if err != nil {
		return nil, err
	}
	return dynamo.Encode(activityItem{recordItem: item, Start: startKey(p), attributes: attributes(*r.Activity)})
}

func decodeRecord(m dynamo.Item) (id int64, r activity.Record, err error) {
	var item activityItem
	if err := dynamo.Decode(m, &item); err != nil {
		return 0, r, err
	}
	r = activity.Record{Generation: item.Generation, ReadAt: item.ReadAt.Time()}
	if item.Start != "" {
		a := gatheringv1.Activity(item.attributes)
		r.Activity = &a
	}
	id, err = strconv.ParseInt(strings.TrimPrefix(item.SK, recordPrefix), 10, 64)
	if err != nil {
		return 0, r, fault.New(fault.Permanent, "decode record: %w", err)
	}
	return id, r, nil
}

type totalsItem struct {
	dynamo.Revision
	itemKey
	aging
	// Sums has, by day and sport type, e.g. "05 Ride", the fields of
	// [activity.Sum] in their order.
	Sums   map[string][5]int64 `dynamodbav:"sums"`
	ReadIn map[int64]int       `dynamodbav:"read_in"`
}

func totalsItemOf(athleteID int64, month string, t *activity.MonthlyTotals) totalsItem {
	item := totalsItem{
		Revision: dynamo.NewRevision(),
		itemKey:  itemKey{athleteID, totalsKey(month)}, aging: aging{activity.KindTotals, dynamo.MillisOf(t.Oldest())},
		Sums: map[string][5]int64{}, ReadIn: t.ReadIn,
	}
	for key, s := range t.Sums {
		item.Sums[fmt.Sprintf("%02d %s", key.Day, key.SportType)] = [5]int64{s.Count, s.Distance, s.MovingTime, s.ElapsedTime, s.TotalElevationGain}
	}
	return item
}

func (i totalsItem) month() string { return strings.TrimPrefix(i.SK, totalsPrefix) }

func (i totalsItem) totals() (*activity.MonthlyTotals, error) {
	t := activity.NewMonthlyTotals()
	for name, s := range i.Sums {
		day, sportType, _ := strings.Cut(name, " ")
		n, err := strconv.Atoi(day)
		if err != nil {
			return nil, fault.New(fault.Permanent, "decode totals: %w", err)
		}
		t.Sums[activity.DayAndSport{Day: n, SportType: sportType}] = activity.Sum{
			Count: s[0], Distance: s[1], MovingTime: s[2], ElapsedTime: s[3], TotalElevationGain: s[4],
		}
	}
	for hour, n := range i.ReadIn {
		t.ReadIn[hour] = n
	}
	return t, nil
}

// rangeItems have the start and the id of both ends of each [activity.Range].
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
	Generation int64         `dynamodbav:"generation"`
	Began      dynamo.Millis `dynamodbav:"began"`
	Covered    rangeItems    `dynamodbav:"covered,omitempty"`
}

type guardItem struct {
	dynamo.Revision
	itemKey
	Authorized int64 `dynamodbav:"authorized_generation,omitempty"`
	Revoked    int64 `dynamodbav:"revoked_generation,omitempty"`
	Limited    int64 `dynamodbav:"limited_generation,omitempty"`
	Closed     int64 `dynamodbav:"closed_generation,omitempty"`
	// Scan is nil if no scan is complete.
	Scan *scanItem `dynamodbav:"scan,omitempty"`
	// ExpiresAt is 0 for never.
	ExpiresAt dynamo.Seconds `dynamodbav:"expires_at,omitempty"`
}

func guardItemOf(athleteID int64, g activity.Guard) guardItem {
	item := guardItem{
		itemKey:    itemKey{athleteID, guardKey},
		Authorized: g.Authorized, Revoked: g.Revoked, Limited: g.Limited, Closed: g.Closed,
		ExpiresAt: dynamo.SecondsOf(g.Expires),
	}
	if g.Scan != nil {
		item.Scan = &scanItem{g.Scan.Generation, dynamo.MillisOf(g.Scan.Began), rangeItemsOf(g.Scan.Covered)}
	}
	return item
}

func (i guardItem) guard() activity.Guard {
	g := activity.Guard{Authorized: i.Authorized, Revoked: i.Revoked, Limited: i.Limited, Closed: i.Closed, Expires: i.ExpiresAt.Time()}
	if i.Scan != nil {
		g.Scan = &activity.CompletedScan{Generation: i.Scan.Generation, Began: i.Scan.Began.Time(), Covered: i.Scan.Covered.ranges()}
	}
	return g
}
