package wiring

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/ddb"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Stores returns the ports to the stores in the named table, for functions that
// publish no events.
func Stores(cfg aws.Config, table string) athlete.Ports {
	client := dynamodb.NewFromConfig(cfg)
	return athlete.Ports{
		Accounts:  ddb.NewAccounts(client, table),
		Erasures:  ddb.NewErasures(client, table),
		Inventory: ddb.NewInventory(client, table),
		Events:    startup.EventFactory(),
	}
}

// Ports returns all ports.
func Ports(cfg aws.Config, table, eventBusName string) athlete.Ports {
	p := Stores(cfg, table)
	p.Publisher = eventbus.New(eventbridge.NewFromConfig(cfg), eventBusName)
	p.NewReceipt = startup.NewSecret
	return p
}
