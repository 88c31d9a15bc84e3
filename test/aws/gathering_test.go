package aws_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/gathering/quota/quotatest"
	"github.com/paceline/paceline/pkg/gathering/settings"
	"github.com/paceline/paceline/pkg/gathering/sqs"
)

// gatheringTable makes a table as the gathering stack does.
func gatheringTable(t *testing.T) string {
	return mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS),
			attribute("queue", types.ScalarAttributeTypeS), attribute("due", types.ScalarAttributeTypeN),
		},
		KeySchema: primaryKey("pk", "sk"),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String(settings.WorkIndex), KeySchema: primaryKey("queue", "due"),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
	})
}

func TestGatheringTableConforms(t *testing.T) {
	for name, client := range clients(t, 2) {
		t.Run(name, func(t *testing.T) {
			gatheringtest.RunStorage(t, func(t *testing.T) gatheringtest.Storage { return ddb.New(client, gatheringTable(t)) })
		})
	}
}

func TestBudgetConforms(t *testing.T) {
	client := dynamodb.NewFromConfig(mustConfig(t))
	quotatest.Run(t, func(t *testing.T) quota.Budgets { return ddb.NewBudgets(client, gatheringTable(t)) })
}

func TestWakeupsArrive(t *testing.T) {
	client := awssqs.NewFromConfig(mustConfig(t))
	created, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("wake")})
	if err != nil {
		t.Fatal(err)
	}
	if err := sqs.New(client, *created.QueueUrl).Wake(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	out, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: created.QueueUrl, WaitTimeSeconds: 5})
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(out.Messages), err)
	}
}

// TestGatheringItemsExpire: DynamoDB drops tombstones, digests of webhook
// events and daily counts, but not the state or the inbox of an athlete whose
// authorization is in force.
func TestGatheringItemsExpire(t *testing.T) {
	name := gatheringTable(t)
	table := ddb.New(dynamodb.NewFromConfig(mustConfig(t)), name)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for id, a := range map[int64]gathering.Athlete{
		1: {ID: 1, Generation: 7, State: gathering.Active},
		2: {ID: 2, Generation: 7, State: gathering.Revoked, RevokedAt: at},
	} {
		if _, err := table.Update(t.Context(), id, func(stored *gathering.Athlete) (bool, error) { *stored = a; return true, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := table.UpdateInbox(t.Context(), 1, func(m *gathering.Inbox) (bool, error) { m.Generation = 7; return true, nil }); err != nil {
		t.Fatal(err)
	}
	hint := gathering.Hint{Aspect: gathering.AspectUpdate, ActivityID: 5, ReceivedAt: at}
	if d, err := table.Deliver(t.Context(), 1, "digest", hint); err != nil || d != gathering.Delivered {
		t.Fatal(d, err)
	}
	if err := table.CountWebhookEvent(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if _, err := table.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) { w.Version = 1; return true, nil }); err != nil {
		t.Fatal(err)
	}
	midnight := at.Truncate(24 * time.Hour)
	want := map[time.Time]int{
		{}:                               3, // The athlete, the inbox and the webhook.
		at.Add(8 * 24 * time.Hour):       1, // The tombstone.
		at.Add(3 * 24 * time.Hour):       1, // The webhook event that was seen.
		midnight.Add(4 * 24 * time.Hour): 1, // The day's count.
	}
	got := map[time.Time]int{}
	for _, item := range mustItems(t, name) {
		expires := time.Time{}
		if n, ok := item["expires_at"].(*types.AttributeValueMemberN); ok {
			seconds, err := strconv.ParseInt(n.Value, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			expires = time.Unix(seconds, 0).UTC()
		}
		got[expires]++
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestADroppedInboxLeavesNothing, however many webhook events are remembered.
func TestADroppedInboxLeavesNothing(t *testing.T) {
	name := gatheringTable(t)
	table := ddb.New(stingy(t, 2), name)
	if _, err := table.UpdateInbox(t.Context(), 1, func(m *gathering.Inbox) (bool, error) { m.Generation = 7; return true, nil }); err != nil {
		t.Fatal(err)
	}
	for i := range int64(7) {
		hint := gathering.Hint{Aspect: gathering.AspectUpdate, ActivityID: i, ReceivedAt: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
		if d, err := table.Deliver(t.Context(), 1, strconv.FormatInt(i, 10), hint); err != nil || d != gathering.Delivered {
			t.Fatal(d, err)
		}
	}
	if err := table.DropInbox(t.Context(), gathering.Authorization{AthleteID: 1, Generation: 7}); err != nil {
		t.Fatal(err)
	}
	if items := mustItems(t, name); len(items) != 0 {
		t.Errorf("%d items are left", len(items))
	}
}
