package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/logging"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

func mustActivitiesTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("athlete_id", types.ScalarAttributeTypeN),
			attribute("sk", types.ScalarAttributeTypeS),
			attribute("start", types.ScalarAttributeTypeS),
		},
		KeySchema: primaryKey("athlete_id", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(settings.ActivitiesByStartIndex),
			KeySchema:  primaryKey("athlete_id", "start"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
}

// heldActivities counts an athlete's items besides the tombstone.
func heldActivities(t *testing.T, table string, athleteID int64) (n int) {
	for _, item := range mustItems(t, table) {
		if item["athlete_id"].(*types.AttributeValueMemberN).Value == strconv.FormatInt(athleteID, 10) &&
			item["sk"].(*types.AttributeValueMemberS).Value != "authorization" {
			n++
		}
	}
	return n
}

func TestActivitiesTableConforms(t *testing.T) {
	name := mustActivitiesTable(t)
	table := ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	activitytest.Run(t, activitytest.Subject{
		WriteStore: table, ReadStore: table,
		Held: func(athleteID int64) int { return heldActivities(t, name, athleteID) },
	})
}

// between lets something happen right before the nth call to DynamoDB, which it
// counts from 0.
type between struct {
	ddb.API
	nth, calls int
	happen     func()
}

func (b *between) before() {
	if b.calls == b.nth {
		b.happen()
	}
	b.calls++
}

func (b *between) GetItem(ctx context.Context, in *dynamodb.GetItemInput, o ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	b.before()
	return b.API.GetItem(ctx, in, o...)
}

func (b *between) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	b.before()
	return b.API.Query(ctx, in, o...)
}

func (b *between) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	b.before()
	return b.API.TransactWriteItems(ctx, in, o...)
}

// Whatever call of a write an erasure falls into, and whatever call of an
// erasure a write: the erased authorization leaves nothing, a later one loses
// nothing.
func TestErasureInterleavedWithWrites(t *testing.T) {
	name := mustActivitiesTable(t)
	api := dynamodb.NewFromConfig(mustConfig(t))
	direct := ddb.New(api, name)
	expires := time.Now().Add(activity.TombstoneLifetime)

	// More than one transaction holds.
	var many []gatheringv1.Activity
	for i := range 120 {
		many = append(many, activitytest.Activity(int64(i+1), i, fmt.Sprint(i)))
	}
	writes := map[string]func(ctx context.Context, table *ddb.Table, by activity.Authorization) error{
		"put": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.Put(ctx, activity.Reading{By: by, At: activitytest.At(5), Activities: many})
		},
		"put gone": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.PutGone(ctx, activity.Absence{By: by, At: activitytest.At(5), ActivityID: 1}, expires)
		},
		"update sync": func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
			return table.UpdateSync(ctx, by, func(s *activity.Sync) bool {
				return s.Store(by.Generation, gatheringv1.ScanChunk{ScanID: "scan", Number: 7}, 1)
			})
		},
	}
	erase := func(ctx context.Context, table *ddb.Table, by activity.Authorization) error {
		return table.Erase(ctx, by, expires)
	}
	athleteID := int64(1_000_000)
	// during runs outer with inner before its nth call; false when outer has
	// fewer calls.
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
					if n := heldActivities(t, name, athleteID); n != 0 {
						t.Errorf("%s, call %d: %d items of the erased authorization are left", into, nth, n)
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

// An erasure that is cut off anywhere is completed by running it again.
func TestErasureCutOff(t *testing.T) {
	name := mustActivitiesTable(t)
	api := dynamodb.NewFromConfig(mustConfig(t))
	direct := ddb.New(api, name)
	expires := time.Now().Add(activity.TombstoneLifetime)
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
		err := ddb.New(b, name).Erase(ctx, by, expires)
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
		if err := direct.Erase(t.Context(), by, expires); err != nil {
			t.Fatal(err)
		}
		if n := heldActivities(t, name, by.AthleteID); n != 0 {
			t.Fatalf("cut off at call %d: %d items are left", nth, n)
		}
	}
}

// What the table holds has no attribute that could be a place.
func TestActivityItemsHoldWhatTheyShould(t *testing.T) {
	name := mustActivitiesTable(t)
	table := ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	by := activity.Authorization{AthleteID: 1, Generation: activitytest.Gen1}
	a := activitytest.Activity(42, 61, "Ride")
	if err := table.Put(t.Context(), activity.Reading{By: by, At: activitytest.At(0), Activities: []gatheringv1.Activity{a}}); err != nil {
		t.Fatal(err)
	}
	expires := time.Unix(1_900_000_000, 0)
	if err := table.PutGone(t.Context(), activity.Absence{By: by, At: activitytest.At(0), ActivityID: 43}, expires); err != nil {
		t.Fatal(err)
	}
	for _, item := range mustItems(t, name) {
		start, indexed := item["start"]
		switch item["sk"].(*types.AttributeValueMemberS).Value {
		case "activity#42":
			if !indexed || start.(*types.AttributeValueMemberS).Value != "2026-01-01T00:01:01Z#0000000000000000042" {
				t.Errorf("start is %v", start)
			}
			for _, missing := range []string{"average_heartrate", "timezone", "expires_at"} {
				if _, there := item[missing]; there {
					t.Errorf("there is a %s", missing)
				}
			}
		case "activity#43":
			if indexed || item["expires_at"].(*types.AttributeValueMemberN).Value != "1900000000" || len(item) != 5 {
				t.Errorf("a gone activity is kept as %v", item)
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
