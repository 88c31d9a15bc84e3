package sessionwiring

import (
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Ports returns the ports over the credentials table and the grants table.
func Ports(cfg aws.Config, table, grantsTable string, log *slog.Logger) credentials.Ports {
	return credentials.Ports{
		Events: startup.EventFactory(), Log: log, NewSecret: startup.NewSecret,
		CredentialStore: ddb.NewCredentials(dynamodb.NewFromConfig(cfg), table, grantsTable),
	}
}
