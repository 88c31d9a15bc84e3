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
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Table returns the grants table.
func Table(cfg aws.Config, name string) *ddb.GrantsTable {
	return ddb.NewGrants(dynamodb.NewFromConfig(cfg), name)
}

// Sessions opens and ends sessions.
func Sessions(cfg aws.Config, table, grants string) *credentials.Sessions {
	store := ddb.NewCredentials(dynamodb.NewFromConfig(cfg), table, grants)
	return &credentials.Sessions{Store: store, NewSecret: startup.NewSecret, Now: time.Now}
}

// API returns Strava's REST API.
func API(s settings.UseTokens) *provider.API {
	return strava.NewAPI(httpcall.NewClient(), s.StravaAPIURL)
}

// Ledger returns the ledger of the grants in table.
func Ledger(cfg aws.Config, eventBusName string, table *ddb.GrantsTable) credentials.Ledger {
	return credentials.Ledger{
		Grants: table, Publisher: eventbus.New(eventbridge.NewFromConfig(cfg), eventBusName), Events: startup.EventFactory(),
	}
}

// Tokens returns the tokens of Strava's athletes.
func Tokens(cfg aws.Config, s settings.UseTokens, table *ddb.GrantsTable, metrics credentials.Metrics) *credentials.Tokens {
	description := provider.Strava(s.StravaOAuthURL, s.StravaRevocation)
	description.ProfileURL = s.StravaAPIURL + "/athlete"
	return &credentials.Tokens{
		TokenStore: credentials.TokenStore{
			Ledger:  Ledger(cfg, s.EventBusName, table),
			Vault:   ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier),
			Sealer:  kms.NewSealer(awskms.NewFromConfig(cfg), s.TokenKeyID),
			Metrics: metrics,
			Sleep:   startup.Sleep,
		},
		OAuth: provider.NewOAuth(httpcall.NewClient(), description, time.Now),
	}
}

// Connect returns what connects athletes, but for what only browsers need.
func Connect(tokens *credentials.Tokens, table *ddb.GrantsTable, athleteCapacity int) *credentials.Connect {
	return &credentials.Connect{
		TokenStore: tokens.TokenStore,
		OAuth:      tokens.OAuth,
		NewSecret:  startup.NewSecret,
		Capacity:   &credentials.Capacity{Counter: table, Athletes: athleteCapacity, Now: time.Now},
	}
}

// Reconciler returns what does the pending tasks of Strava's grants.
func Reconciler(cfg aws.Config, s settings.UseTokens, table *ddb.GrantsTable, metrics credentials.Metrics, log *slog.Logger) *credentials.Reconciler {
	tokens := Tokens(cfg, s, table, metrics)
	return &credentials.Reconciler{
		TokenStore: tokens.TokenStore,
		Connect:    Connect(tokens, table, s.AthleteCapacity),
		Revocation: &credentials.Revocation{
			TokenStore: tokens.TokenStore,
			Receipts:   credentials.Receipts{Erasures: table, Publisher: tokens.Publisher, Events: tokens.Events},
			Tokens:     tokens,
			OAuth:      tokens.OAuth,
			API:        API(s),
			Sessions:   Sessions(cfg, s.CredentialsTable, s.GrantsTable),
			NewSecret:  startup.NewSecret,
		},
		Log: log,
	}
}
