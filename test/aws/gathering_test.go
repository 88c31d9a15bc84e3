package aws_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/sqs"
)

func TestGatheringTableConforms(t *testing.T) {
	client := dynamodb.NewFromConfig(mustConfig(t))
	gatheringtest.RunStorage(t, func(t *testing.T) gatheringtest.Storage {
		return ddb.New(client, mustTable(t, dynamodb.CreateTableInput{
			AttributeDefinitions: []types.AttributeDefinition{attribute("pk", types.ScalarAttributeTypeS)},
			KeySchema:            primaryKey("pk"),
		}))
	})
}

func TestWorkQueueTakesTheLongestDelay(t *testing.T) {
	client := awssqs.NewFromConfig(mustConfig(t))
	created, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("work")})
	if err != nil {
		t.Fatal(err)
	}
	queue := sqs.New(client, *created.QueueUrl)
	for delay, visible := range map[time.Duration]bool{0: true, gathering.MaxDelay: false} {
		if err := queue.Send(t.Context(), gathering.Job{Kind: gathering.KindProfile, AthleteID: 7, Generation: 1_700_000_000_000}, delay); err != nil {
			t.Fatalf("delay %s: %v", delay, err)
		}
		if !visible {
			continue
		}
		out, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: created.QueueUrl, WaitTimeSeconds: 5})
		if err != nil || len(out.Messages) != 1 {
			t.Fatalf("%d messages, %v", len(out.Messages), err)
		}
		if got := *out.Messages[0].Body; got != `{"kind":"profile","athlete_id":7,"generation":1700000000000}` {
			t.Errorf("body %s", got)
		}
	}
}
