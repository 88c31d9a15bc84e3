package aws_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
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
	client := dynamodb.NewFromConfig(mustConfig(t))
	gatheringtest.RunStorage(t, func(t *testing.T) gatheringtest.Storage { return ddb.New(client, gatheringTable(t)) })
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
