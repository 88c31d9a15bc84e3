package wiring

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Storage returns the ports for a function that publishes no events.
func Storage(cfg aws.Config, activitiesTable string) activity.Ports {
	table := ddb.New(dynamodb.NewFromConfig(cfg), activitiesTable)
	return activity.Ports{WriteStore: table, ReadStore: table, AuditStore: table, Events: startup.EventFactory()}
}

// Publishing returns the ports for a function that also publishes events.
func Publishing(cfg aws.Config, activitiesTable, eventBus string) activity.Ports {
	ports := Storage(cfg, activitiesTable)
	ports.Publisher = eventbus.New(eventbridge.NewFromConfig(cfg), eventBus)
	return ports
}
