package wiring

import (
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// LinkRequester returns what calls Fitbit for linked accounts.
func LinkRequester(cfg aws.Config, s settings.UseLinks, table *ddb.GrantsTable, metrics credentials.Metrics, log *slog.Logger) *credentials.Requester {
	return &credentials.Requester{
		Tokens: &credentials.Tokens{
			TokenStore: credentials.TokenStore{
				Ledger:  Ledger(cfg, s.EventBusName, table),
				Vault:   ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier),
				Sealer:  kms.NewSealer(awskms.NewFromConfig(cfg), s.TokenKeyID),
				Metrics: metrics,
				Sleep:   startup.Sleep,
			},
			OAuth: provider.NewOAuth(httpcall.NewClient(), provider.Fitbit(s.FitbitSiteURL, s.FitbitAPIURL), time.Now),
		},
		API: fitbit.NewAPI(httpcall.NewClient(), s.FitbitAPIURL),
		Log: log,
	}
}

// LinkReconciler returns what does the pending tasks of linked accounts.
func LinkReconciler(requester *credentials.Requester, table *ddb.GrantsTable) *credentials.Reconciler {
	tokens := requester.Tokens
	return &credentials.Reconciler{
		TokenStore: tokens.TokenStore,
		Connect:    &credentials.Connect{TokenStore: tokens.TokenStore, States: table, OAuth: tokens.OAuth, NewSecret: startup.NewSecret},
		Revocation: &credentials.Revocation{
			TokenStore: tokens.TokenStore,
			Receipts:   credentials.Receipts{Erasures: table, Publisher: tokens.Publisher, Events: tokens.Events},
			Tokens:     tokens,
			OAuth:      tokens.OAuth,
			API:        requester.API,
			NewSecret:  startup.NewSecret,
		},
		Log: requester.Log,
	}
}
