package aws_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/logging"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/retention"
)

func mustActivitiesTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("athlete_id", types.ScalarAttributeTypeN),
			attribute("sk", types.ScalarAttributeTypeS),
			attribute("start", types.ScalarAttributeTypeS),
			attribute("kind", types.ScalarAttributeTypeS),
			attribute("oldest", types.ScalarAttributeTypeN),
		},
		KeySchema: primaryKey("athlete_id", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(settings.ActivitiesByStartIndex),
			KeySchema:  primaryKey("athlete_id", "start"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}, {
			IndexName:  aws.String(settings.ActivitiesByAgeIndex),
			KeySchema:  primaryKey("kind", "oldest"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	})
}

// portsOver returns the activity plane's ports over a table.
func portsOver(table *ddb.Table, now func() time.Time) activity.Ports {
	return activity.Ports{WriteStore: table, ReadStore: table, AuditStore: table, Events: event.Factory{Now: now, NewID: rand.Text}}
}

// heldActivities counts an athlete's items, without the guard and the totals.
func heldActivities(t *testing.T, table string, athleteID int64) (n int) {
	for _, sk := range heldKeys(t, table, athleteID) {
		if sk != "guard" && !strings.HasPrefix(sk, "totals#") {
			n++
		}
	}
	return n
}

// heldKeys returns the sort keys of an athlete's items.
func heldKeys(t *testing.T, table string, athleteID int64) (out []string) {
	for _, item := range mustItems(t, table) {
		if item["athlete_id"].(*types.AttributeValueMemberN).Value == strconv.FormatInt(athleteID, 10) {
			out = append(out, item["sk"].(*types.AttributeValueMemberS).Value)
		}
	}
	return out
}

func activitySubject(t *testing.T, api dynamo.API) (_ activitytest.Subject, name string) {
	name = mustActivitiesTable(t)
	table := ddb.New(api, name)
	return activitytest.Subject{
		WriteStore: table, ReadStore: table,
		Held: func(athleteID int64) int { return heldActivities(t, name, athleteID) },
	}, name
}

func TestActivitiesTableConforms(t *testing.T) {
	for name, client := range clients(t, 100) {
		t.Run(name, func(t *testing.T) {
			subject, _ := activitySubject(t, client)
			activitytest.Run(t, subject)
		})
	}
}

// A few of the histories that the store in memory runs by the thousand.
func TestActivityHistories(t *testing.T) {
	subject, _ := activitySubject(t, dynamodb.NewFromConfig(mustConfig(t)))
	for seed := range int64(12) {
		if err := activitytest.History(t.Context(), subject, seed+1, uint64(seed), nil); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// end returns the change of the guard when an authorization is over.
func end(by activity.Authorization) func(*activity.Guard) (bool, error) {
	expires := time.Now().Add(retention.Tombstone)
	return func(g *activity.Guard) (bool, error) { return g.Revoke(by.Generation, expires), nil }
}

// between calls happen right before the nth call to DynamoDB, counted from 0.
type between struct {
	dynamo.API
	nth, calls int
	happen     func()
}

func (b *between) before() {
	if b.calls == b.nth {
		b.happen()
	}
	b.calls++
}

func (b *between) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	b.before()
	return b.API.BatchGetItem(ctx, in, o...)
}

func (b *between) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	b.before()
	return b.API.GetItem(ctx, in, o...)
}

func (b *between) PutItem(ctx context.Context, in *dynamodb.PutItemInput, o ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	b.before()
	return b.API.PutItem(ctx, in, o...)
}

func (b *between) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	b.before()
	return b.API.Query(ctx, in, o...)
}

func (b *between) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	b.before()
	return b.API.TransactWriteItems(ctx, in, o...)
}

// An erasure runs before each call of a write, and a write before each call of an
// erasure: the erased authorization leaves nothing, a later one loses nothing.
func TestErasureInterleavedWithWrites(t *testing.T) {
	name := mustActivitiesTable(t)
	api := dynamodb.NewFromConfig(mustConfig(t))
	direct := ddb.New(api, name)

	// These are more than one transaction holds.
	var many []gatheringv1.Activity
	for i := range 120 {
		many = append(many, activitytest.Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	elsewhere := activitytest.Activity(1_000, 100*86400, "in a month of its own")
	writes := map[string]func(ctx context.Context, table *ddb.Table, by activity.Authorization) error{
		"put a new one": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.Put(ctx, activity.Reading{By: by, At: activitytest.At(5), Activities: []gatheringv1.Activity{elsewhere}})
		},
		"put": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.Put(ctx, activity.Reading{By: by, At: activitytest.At(5), Activities: many})
		},
		"put gone": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.PutDeletion(ctx, activity.Deletion{By: by, At: activitytest.At(5), ActivityID: 1})
		},
		"update sync": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.UpdateSync(ctx, by, func(s *activity.Sync) (bool, error) {
				return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 7}, activity.StoredChunk{Activities: 1, ReadAt: activitytest.At(5)}), nil
			})
		},
	}
	erase := func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
		return table.UpdateGuard(ctx, by.AthleteID, end(by))
	}
	athleteID := int64(1_000_000)
	// during runs outer with inner before its nth call. It returns false if outer
	// has fewer calls.
	type operation func(context.Context, *ddb.Table, activity.Authorization) error
	during := func(t *testing.T, outer, inner operation, nth int, outerBy, innerBy activity.Authorization) bool {
		b := &between{API: api, nth: nth, happen: func() {
			if err := inner(t.Context(), direct, innerBy); err != nil && !errors.Is(err, activity.ErrRevoked) {
				t.Fatal(err)
			}
		}}
		if err := outer(t.Context(), ddb.New(b, name), outerBy); err != nil && !errors.Is(err, activity.ErrRevoked) {
			t.Fatal(err)
		}
		return nth < b.calls
	}
	for what, write := range writes {
		t.Run(what, func(t *testing.T) {
			for _, into := range []string{"erasure into write", "write into erasure"} {
				for nth := 0; ; nth++ {
					athleteID++
					old := activity.Authorization{AthleteID: athleteID, Generation: activitytest.Gen1}
					// Something for the erasure to find.
					if err := direct.Put(t.Context(), activity.Reading{By: old, At: activitytest.At(0), Activities: many}); err != nil {
						t.Fatal(err)
					}
					outer, inner := operation(erase), operation(write)
					if into == "erasure into write" {
						outer, inner = inner, outer
					}
					more := during(t, outer, inner, nth, old, old)
					if !more {
						break
					}
					if held := heldKeys(t, name, athleteID); !slices.Equal(held, []string{"guard"}) {
						t.Errorf("%s, call %d: %v are left", into, nth, held)
					}
				}
			}
			// A later authorization takes items over while the old one is erased.
			for nth := 0; ; nth++ {
				athleteID++
				old := activity.Authorization{AthleteID: athleteID, Generation: activitytest.Gen1}
				later := activity.Authorization{AthleteID: athleteID, Generation: activitytest.Gen2}
				if err := direct.Put(t.Context(), activity.Reading{By: old, At: activitytest.At(9), Activities: many}); err != nil {
					t.Fatal(err)
				}
				if !during(t, erase, write, nth, old, later) {
					break
				}
				want := 1
				if what == "put" {
					want = len(many)
				}
				if n := heldActivities(t, name, athleteID); n != want {
					t.Errorf("call %d: %d items, want the later authorization's %d", nth, n, want)
				}
			}
		})
	}
}

// A reading is written before each of EndScan's calls to DynamoDB. If it is newer
// than the scan it stays; if it is older it leaves nothing.
func TestScanEndInterleavedWithReadings(t *testing.T) {
	name := mustActivitiesTable(t)
	api := dynamodb.NewFromConfig(mustConfig(t))
	direct := ddb.New(api, name)
	var many []gatheringv1.Activity
	for i := range 120 {
		many = append(many, activitytest.Activity(int64(i+1), i*86400, "not found"))
	}
	late := activitytest.Activity(121, 5, "late")
	athleteID := int64(0)
	for at, want := range map[int]int{1: 0, 9: 121} {
		for nth := 0; ; nth++ {
			athleteID++
			by := activity.Authorization{AthleteID: athleteID, Generation: activitytest.Gen1}
			kittest.Must(t, direct.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: many}))
			b := &between{API: api, nth: nth, happen: func() {
				kittest.Must(t, direct.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(at), Activities: append([]gatheringv1.Activity{late}, many...)}))
			}}
			scan := activity.CompletedScan{Generation: by.Generation, Began: activitytest.At(5), Covered: []activity.Range{activity.Everything()}}
			kittest.Must(t, ddb.New(b, name).EndScan(t.Context(), athleteID, scan, func([]activity.Record) bool { return true }))
			if b.calls <= nth {
				break
			}
			records, err := direct.Records(t.Context(), athleteID)
			kittest.Must(t, err)
			if len(records) != want {
				t.Errorf("read at %d, in call %d: %d activities, want %d", at, nth, len(records), want)
			}
			totals, err := direct.MonthlyTotals(t.Context(), by)
			kittest.Must(t, err)
			if d := cmp.Diff(activity.TotalsByMonth(records), totals); d != "" {
				t.Errorf("read at %d, in call %d (-want +got)\n%s", at, nth, d)
			}
		}
	}
}

// An erasure that is interrupted at any call is completed by running it again.
func TestErasureCutOff(t *testing.T) {
	name := mustActivitiesTable(t)
	api := dynamodb.NewFromConfig(mustConfig(t))
	direct := ddb.New(api, name)
	var many []gatheringv1.Activity
	for i := range 250 {
		many = append(many, activitytest.Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	quiet := dynamodb.NewFromConfig(mustConfig(t), func(o *dynamodb.Options) { o.Logger = logging.Nop{} })
	for nth := 0; ; nth++ {
		by := activity.Authorization{AthleteID: int64(nth + 1), Generation: activitytest.Gen1}
		if err := direct.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: many}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		b := &between{API: quiet, nth: nth, happen: cancel}
		err := ddb.New(b, name).UpdateGuard(ctx, by.AthleteID, end(by))
		cancel()
		if nth >= b.calls {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if err == nil {
			t.Fatalf("cut off at call %d, and no error", nth)
		}
		if err := direct.UpdateGuard(t.Context(), by.AthleteID, end(by)); err != nil {
			t.Fatal(err)
		}
		if held := heldKeys(t, name, by.AthleteID); !slices.Equal(held, []string{"guard"}) {
			t.Fatalf("cut off at call %d: %v are left", nth, held)
		}
	}
}

// No item has an attribute that could be a place.
func TestActivityItemsHoldWhatTheyShould(t *testing.T) {
	name := mustActivitiesTable(t)
	table := ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	by := activity.Authorization{AthleteID: 1, Generation: activitytest.Gen1}
	a := activitytest.Activity(42, 61, "Ride")
	if err := table.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: []gatheringv1.Activity{a}}); err != nil {
		t.Fatal(err)
	}
	if err := table.PutDeletion(t.Context(), activity.Deletion{By: by, At: activitytest.At(0), ActivityID: 43}); err != nil {
		t.Fatal(err)
	}
	expires := strconv.FormatInt(activitytest.At(0).Add(8*24*time.Hour).Unix(), 10)
	for _, item := range mustItems(t, name) {
		start, indexed := item["start"]
		switch item["sk"].(*types.AttributeValueMemberS).Value {
		case "activity#42":
			if !indexed || start.(*types.AttributeValueMemberS).Value != "2026-01-01T00:01:01Z#0000000000000000042" {
				t.Errorf("start is %v", start)
			}
			if got := item["expires_at"].(*types.AttributeValueMemberN).Value; got != expires {
				t.Errorf("expires at %s, want %s", got, expires)
			}
			for _, missing := range []string{"average_heartrate", "timezone"} {
				if _, there := item[missing]; there {
					t.Errorf("there is a %s", missing)
				}
			}
		case "activity#43":
			if indexed || item["expires_at"].(*types.AttributeValueMemberN).Value != expires || len(item) != 7 ||
				item["kind"].(*types.AttributeValueMemberS).Value != "deletion" {
				t.Errorf("a deletion is stored as %v", item)
			}
		case "totals#2025-12":
			if _, lasts := item["expires_at"]; lasts || item["kind"].(*types.AttributeValueMemberS).Value != "totals" {
				t.Errorf("totals are stored as %v", item)
			}
		default:
			t.Errorf("unexpected %v", item["sk"])
		}
		for attribute := range item {
			for _, banned := range []string{"latlng", "polyline", "map", "location"} {
				if strings.Contains(attribute, banned) {
					t.Errorf("there is a %s", attribute)
				}
			}
		}
	}
}

// The audit counts every item, however small DynamoDB's pages are.
func TestTheAuditCountsAll(t *testing.T) {
	table := ddb.New(stingy(t, 2), mustActivitiesTable(t))
	const athletes, each = 10, 5
	for id := range int64(athletes) {
		reading := activity.Reading{By: activity.Authorization{AthleteID: id + 1, Generation: activitytest.Gen1}, At: activitytest.At(0)}
		for i := range each {
			reading.Activities = append(reading.Activities, activitytest.Activity(int64(i+1), i, "Ride"))
		}
		if err := table.Put(t.Context(), reading); err != nil {
			t.Fatal(err)
		}
	}
	counted := map[string]int{}
	err := table.Ages(t.Context(), func(kind string, _ time.Time) { counted[kind]++ })
	if err != nil || counted[activity.KindActivity] != athletes*each {
		t.Errorf("counted %v, %v", counted, err)
	}
}

// Frequent operations need only this many requests to DynamoDB.
func TestActivityRequests(t *testing.T) {
	name := mustActivitiesTable(t)
	counted := &between{API: dynamodb.NewFromConfig(mustConfig(t)), nth: -1}
	table := ddb.New(counted, name)
	now := activitytest.At(60)
	reader := portsOver(table, func() time.Time { return now }).Reader()
	by := activity.Authorization{AthleteID: 1, Generation: activitytest.Gen1}
	var history []gatheringv1.Activity
	for i := range 1_000 {
		history = append(history, activitytest.Activity(int64(i+1), i*6*3600, fmt.Sprint(i)))
	}
	put := func(at int, activities []gatheringv1.Activity) func() error {
		return func() error {
			return table.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(at), Activities: activities})
		}
	}
	list := func(limit, want int) func() error {
		return func() error {
			page, err := reader.List(t.Context(), by, activity.Selection{In: activity.Everything(), Limit: limit})
			if len(page.Records) != want {
				return fmt.Errorf("%d activities: %w", len(page.Records), err)
			}
			return err
		}
	}
	// endScan ends a scan that began at a time; the records were read at 1.
	endScan := func(began int) error {
		first, err := activity.PositionOf(history[50])
		if err != nil {
			return err
		}
		scan := activity.CompletedScan{Generation: by.Generation, Began: activitytest.At(began), Covered: []activity.Range{{To: first}}}
		return table.EndScan(t.Context(), by.AthleteID, scan, func([]activity.Record) bool { return true })
	}
	for _, step := range []struct {
		what string
		do   func() error
		want int
	}{
		{"an empty history", list(200, 0), 2},
		{"a chunk of 50, new", put(0, history[:50]), 2},
		{"the same chunk again, unchanged", put(1, history[:50]), 2},
		{"the same chunk again, not newer", put(1, history[:50]), 1},
		{"950 more", put(1, history[50:]), 20},
		{"a page of 200", list(200, 200), 1},
		{"an activity", func() error { _, err := reader.Get(t.Context(), by, 7); return err }, 1},
		{"the stats", func() error { _, err := reader.Stats(t.Context(), by, activity.Month, ""); return err }, 1},
		{"the sync", func() error { _, err := reader.Sync(t.Context(), by); return err }, 1},
		{"an activity gone", func() error {
			return table.PutDeletion(t.Context(), activity.Deletion{By: by, At: activitytest.At(2), ActivityID: 7})
		}, 3},
		// The guard is read and changed, all records are read in one query, and
		// what is deleted is read and written.
		{"a scan's end that finds all", func() error { return endScan(1) }, 3},
		{"the same again", func() error { return endScan(1) }, 2},
		{"a scan's end that outdates 49", func() error { return endScan(2) }, 5},
		{"a page of one when all is too old", func() error {
			now = now.Add(retention.StravaData)
			return list(1, 0)()
		}, 4}, // 2 records, 500, the rest, and whether the session is over.
	} {
		counted.calls = 0
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if counted.calls != step.want {
			t.Errorf("%s: %d requests, want %d", step.what, counted.calls, step.want)
		}
	}
}

// If DynamoDB's TTL drops a record, its month's totals are wrong. The athlete does
// not see them, and the sweeper rebuilds them.
func TestActivityTotalsAreRebuiltAfterTTL(t *testing.T) {
	name := mustActivitiesTable(t)
	db := dynamodb.NewFromConfig(mustConfig(t))
	table := ddb.New(db, name)
	now := activitytest.At(0).Add(9 * 24 * time.Hour)
	clock := func() time.Time { return now }
	by := activity.Authorization{AthleteID: 1, Generation: activitytest.Gen1}
	kittest.Must(t, table.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: []gatheringv1.Activity{
		activitytest.Activity(1, 1, "dropped"), activitytest.Activity(2, 2, "too old"), activitytest.Activity(3, 40*86400, "dropped"),
	}}))
	kittest.Must(t, table.Put(t.Context(), activity.Reading{By: by, At: now.Add(-time.Hour), Activities: []gatheringv1.Activity{activitytest.Activity(4, 4, "young")}}))
	for _, id := range []string{"activity#1", "activity#3"} {
		_, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(name), Key: map[string]types.AttributeValue{
			"athlete_id": &types.AttributeValueMemberN{Value: "1"}, "sk": &types.AttributeValueMemberS{Value: id},
		}})
		kittest.Must(t, err)
	}
	check := func() {
		t.Helper()
		stats, err := portsOver(table, clock).Reader().Stats(t.Context(), by, activity.Year, "")
		kittest.Must(t, err)
		if stats.Total.Count != 1 {
			t.Errorf("%d activities are counted", stats.Total.Count)
		}
	}
	audit := func() map[string]int {
		t.Helper()
		report, err := portsOver(table, clock).Auditor().Audit(t.Context())
		kittest.Must(t, err)
		return report.TooOld
	}
	check()
	if got := audit(); got[activity.KindActivity] != 1 || got[activity.KindTotals] != 2 {
		t.Errorf("the audit finds %v", got)
	}
	kittest.Must(t, portsOver(table, clock).Sweeper().Sweep(t.Context()))
	check()
	if got := audit(); len(got) != 0 {
		t.Errorf("the audit finds %v after the sweep", got)
	}
	held := heldKeys(t, name, 1)
	slices.Sort(held)
	if !slices.Equal(held, []string{"activity#4", "totals#2025-12"}) {
		t.Errorf("%v are left", held)
	}
}

// An erasure deletes totals that are wrong because of TTL.
func TestErasureAfterTTL(t *testing.T) {
	name := mustActivitiesTable(t)
	db := dynamodb.NewFromConfig(mustConfig(t))
	table := ddb.New(db, name)
	by := activity.Authorization{AthleteID: 1, Generation: activitytest.Gen1}
	if err := table.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: []gatheringv1.Activity{
		activitytest.Activity(1, 1, "dropped"), activitytest.Activity(2, 2, "not dropped yet"),
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String(name), Key: map[string]types.AttributeValue{
		"athlete_id": &types.AttributeValueMemberN{Value: "1"}, "sk": &types.AttributeValueMemberS{Value: "activity#1"},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := table.UpdateGuard(t.Context(), by.AthleteID, end(by)); err != nil {
		t.Fatal(err)
	}
	for _, item := range mustItems(t, name) {
		if attributes := slices.Sorted(maps.Keys(item)); !slices.Equal(attributes, []string{"athlete_id", "expires_at", "revision", "revoked_generation", "sk"}) {
			t.Errorf("left is %v", item)
		}
	}
}

// A newer reading is written before each call of a write: the newer one wins, and
// the totals stay exact.
func TestNewerReadingInterleavedWithWrites(t *testing.T) {
	name := mustActivitiesTable(t)
	api := dynamodb.NewFromConfig(mustConfig(t))
	direct := ddb.New(api, name)
	read := func(at int, what string) func(*ddb.Table, activity.Authorization) error {
		return func(table *ddb.Table, by activity.Authorization) error {
			if what == "" {
				return table.PutDeletion(t.Context(), activity.Deletion{By: by, At: activitytest.At(at), ActivityID: 1})
			}
			return table.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(at), Activities: []gatheringv1.Activity{
				activitytest.Activity(1, at*40*86400, what),
			}})
		}
	}
	athleteID := int64(0)
	for _, known := range []string{"nothing", "activity", "deletion"} {
		for _, older := range []string{"older", ""} {
			for _, newer := range []string{"newer", ""} {
				for nth := 0; ; nth++ {
					athleteID++
					by := activity.Authorization{AthleteID: athleteID, Generation: activitytest.Gen1}
					switch known {
					case "activity":
						kittest.Must(t, read(0, "known")(direct, by))
					case "deletion":
						kittest.Must(t, read(0, "")(direct, by))
					}
					b := &between{API: api, nth: nth, happen: func() { kittest.Must(t, read(2, newer)(direct, by)) }}
					kittest.Must(t, read(1, older)(ddb.New(b, name), by))
					if b.calls <= nth {
						break
					}
					record, err := direct.Get(t.Context(), by, 1)
					kittest.Must(t, err)
					if !record.ReadAt.Equal(activitytest.At(2)) || (record.Activity == nil) != (newer == "") {
						t.Errorf("%q into %q, call %d, when %s was known: %+v", newer, older, nth, known, record)
					}
					records, err := direct.Records(t.Context(), athleteID)
					kittest.Must(t, err)
					totals, err := direct.MonthlyTotals(t.Context(), by)
					kittest.Must(t, err)
					if d := cmp.Diff(activity.TotalsByMonth(records), totals); d != "" {
						t.Errorf("%q into %q, call %d, when %s was known (-want +got)\n%s", newer, older, nth, known, d)
					}
				}
			}
		}
	}
}
