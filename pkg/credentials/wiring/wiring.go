package wiring

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/ebus"
	"github.com/paceline/paceline/pkg/kit/httpcall"
)

// Table is the grants table.
func Table(cfg aws.Config, s settings.UseTokens) *ddb.Table {
	return ddb.New(dynamodb.NewFromConfig(cfg), s.GrantsTable)
}

// API is Strava's REST API.
func API(s settings.UseTokens) *strava.API {
	return strava.NewAPI(httpcall.NewClient(), s.StravaAPIURL)
}

// Tokens is whoever refreshes.
func Tokens(cfg aws.Config, s settings.UseTokens, table *ddb.Table, metrics credentials.Metrics) *credentials.Tokens {
	return &credentials.Tokens{
		Grants:    table,
		Vault:     ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier),
		Sealer:    kms.NewSealer(awskms.NewFromConfig(cfg), s.TokenKeyID),
		OAuth:     provider.NewOAuth(httpcall.NewClient(), provider.Strava(s.StravaOAuthURL, s.StravaRevocation), time.Now),
		Publisher: ebus.New(eventbridge.NewFromConfig(cfg), s.EventBusName),
		Metrics:   metrics,
		Minter:    boot.Minter(),
		Sleep:     boot.Sleep,
	}
}

// Departure is whoever ends authorizations.
func Departure(cfg aws.Config, s settings.UseTokens, table *ddb.Table, metrics credentials.Metrics, log *slog.Logger) *credentials.Departure {
	tokens := Tokens(cfg, s, table, metrics)
	return &credentials.Departure{
		Grants:    table,
		Erasures:  table,
		Vault:     tokens.Vault,
		OAuth:     tokens.OAuth,
		API:       API(s),
		Tokens:    tokens,
		Publisher: tokens.Publisher,
		Metrics:   metrics,
		Minter:    tokens.Minter,
		Log:       log,
		NewSecret: boot.NewSecret,
	}
}
