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
	"github.com/paceline/paceline/pkg/credentials/fitbit"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Strava returns the ports of functions that use the tokens of Strava's
// athletes.
func Strava(cfg aws.Config, s settings.UseTokens, metrics credentials.Metrics, log *slog.Logger) credentials.Ports {
	p := local(log)
	p.Metrics = metrics
	setBus(&p, cfg, s.EventBusName)
	p.Counter, p.AthleteCapacity = setGrants(&p, cfg, s.GrantsTable), s.AthleteCapacity
	setCredentials(&p, cfg, s.CredentialsTable, s.GrantsTable)
	setVault(&p, cfg, s.ParameterPath, s.TokenKeyID, s.ParameterTier)
	description := provider.Strava(s.StravaOAuthURL, s.StravaRevocation)
	description.ProfileURL = s.StravaAPIURL + "/athlete"
	p.OAuth = provider.NewOAuth(httpcall.NewClient(), description, time.Now)
	p.API = strava.NewAPI(httpcall.NewClient(), s.StravaAPIURL)
	return p
}

// ServeOAuth returns the ports of serve-oauth. It keeps the application's
// registration in memory, and reads it again when Strava refuses it.
func ServeOAuth(cfg aws.Config, s settings.ServeOAuth, metrics credentials.Metrics, log *slog.Logger) credentials.Ports {
	p := Strava(cfg, s.UseTokens, metrics, log)
	p.WaitlistStore = ddb.NewWaitlist(dynamodb.NewFromConfig(cfg), s.WaitlistTable)
	p.OAuth = credentials.ReloadingOAuth{OAuth: p.OAuth, Vault: p.Vault}
	p.Vault = ssm.NewCachingVault(p.Vault, time.Now)
	p.RedirectURI = s.SiteURL + "/oauth/callback"
	return p
}

// Fitbit returns the ports of functions that use the tokens of accounts at
// Fitbit.
func Fitbit(cfg aws.Config, s settings.UseLinks, metrics credentials.Metrics, log *slog.Logger) credentials.Ports {
	p := local(log)
	p.Metrics = metrics
	setBus(&p, cfg, s.EventBusName)
	setGrants(&p, cfg, s.GrantsTable)
	setVault(&p, cfg, s.ParameterPath, s.TokenKeyID, s.ParameterTier)
	p.OAuth = provider.NewOAuth(httpcall.NewClient(), provider.Fitbit(s.FitbitSiteURL, s.FitbitAPIURL), time.Now)
	p.API = fitbit.NewAPI(httpcall.NewClient(), s.FitbitAPIURL)
	p.ReadToday = fitbit.ReadToday
	return p
}

// ServeLinks returns the ports of serve-links.
func ServeLinks(cfg aws.Config, s settings.ServeLinks, metrics credentials.Metrics, log *slog.Logger) credentials.Ports {
	p := Fitbit(cfg, s.UseLinks, metrics, log)
	p.RedirectURI = s.SiteURL + "/oauth/" + provider.NameFitbit + "/callback"
	return p
}

// Admin returns the ports of administer-app.
func Admin(cfg aws.Config, s settings.AdministerApp, log *slog.Logger) credentials.Ports {
	p := local(log)
	setBus(&p, cfg, s.EventBusName)
	p.Counter, p.AthleteCapacity = setGrants(&p, cfg, s.GrantsTable), s.AthleteCapacity
	setCredentials(&p, cfg, s.CredentialsTable, s.GrantsTable)
	p.WaitlistStore = ddb.NewWaitlist(dynamodb.NewFromConfig(cfg), s.WaitlistTable)
	vault := ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier)
	p.Vault, p.Parameters = vault, vault
	p.Push = strava.NewPush(httpcall.NewClient(), s.StravaPushURL)
	p.CallbackURL = s.SiteURL + settings.WebhookPath
	return p
}

// CheckSubscription returns the ports of check-subscription.
func CheckSubscription(cfg aws.Config, s settings.CheckSubscription, log *slog.Logger) credentials.Ports {
	p := local(log)
	p.Vault = ssm.New(awsssm.NewFromConfig(cfg), s.ParameterPath, s.TokenKeyID, s.ParameterTier)
	p.Push = strava.NewPush(httpcall.NewClient(), s.StravaPushURL)
	p.CallbackURL = s.SiteURL + settings.WebhookPath
	return p
}

// local returns the ports that call no other system.
func local(log *slog.Logger) credentials.Ports {
	return credentials.Ports{
		Events: startup.EventFactory(), Log: log, NewSecret: startup.NewSecret, Sleep: startup.Sleep, Providers: provider.Names,
	}
}

func setBus(p *credentials.Ports, cfg aws.Config, name string) {
	p.Publisher = eventbus.New(eventbridge.NewFromConfig(cfg), name)
}

func setGrants(p *credentials.Ports, cfg aws.Config, table string) *ddb.GrantsTable {
	grants := ddb.NewGrants(dynamodb.NewFromConfig(cfg), table)
	p.Grants, p.States = grants, grants
	return grants
}

func setCredentials(p *credentials.Ports, cfg aws.Config, table, grantsTable string) {
	p.CredentialStore = ddb.NewCredentials(dynamodb.NewFromConfig(cfg), table, grantsTable)
}

func setVault(p *credentials.Ports, cfg aws.Config, path, keyID, tier string) {
	p.Vault = ssm.New(awsssm.NewFromConfig(cfg), path, keyID, tier)
	p.Sealer = kms.NewSealer(awskms.NewFromConfig(cfg), keyID)
}
