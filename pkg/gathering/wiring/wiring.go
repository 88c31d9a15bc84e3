package wiring

import (
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Storage returns the ports of the gathering table with this name, and the real
// clock and ids.
func Storage(cfg aws.Config, name string) gathering.Ports {
	client := dynamodb.NewFromConfig(cfg)
	table := ddb.New(client, name)
	return gathering.Ports{
		Athletes: table, Inboxes: table, Jobs: table, Webhooks: table, Inventory: table,
		Budgets: ddb.NewBudgets(client, name), Events: startup.EventFactory(),
	}
}

// Waker returns the queue at url as a waker of gatherers.
func Waker(cfg aws.Config, url string) gathering.Waker {
	return sqs.New(awssqs.NewFromConfig(cfg), url)
}

// Publisher returns the event bus with this name.
func Publisher(cfg aws.Config, bus string) gathering.Publisher {
	return eventbus.New(eventbridge.NewFromConfig(cfg), bus)
}

// Metrics returns the metrics of the stage, written to standard output.
func Metrics(stage string) *emf.Metrics { return emf.New(os.Stdout, time.Now, metric.Namespace, stage) }
