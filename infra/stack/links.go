package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Parameters of linked accounts, below the parameter path. Of the functions that
// serve a provider only those made here reach them, and they reach none of
// Strava's. The admin function reaches those of every provider.
const (
	linkedProvider           = "fitbit"
	linkedAppParameter       = "apps/fitbit"
	linkedAccountParameters  = "accounts/fitbit/*"
	linkedReceivedParameters = "received/fitbit/*"
	linkedReceivedPath       = "received/fitbit"
)

// addLinks makes the functions that use linked accounts. In the grants table they
// also write to the athletes' own grants, which say what is linked.
func (c *Credentials) addLinks(props *CredentialsProps, grants *construct.Table, authorizer awsapigatewayv2.IHttpRouteAuthorizer) {
	b, s := props.Boundary, c.Stack
	cfg := b.Config
	useLinks := settings.UseLinks{
		Stage:         string(cfg.Stage),
		GrantsTable:   *grants.TableName(),
		ParameterPath: c.parameterPath,
		TokenKeyID:    *c.tokenKey.KeyId(),
		EventBusName:  *props.Bus.EventBusName(),
		ParameterTier: c.parameterTier,
		FitbitSiteURL: cfg.Fitbit.SiteURL,
		FitbitAPIURL:  cfg.Fitbit.APIURL,
	}
	serveLinks := construct.NewFunction(s, "serve-links", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Links and unlinks athletes' accounts at Fitbit, and shows the day's activity",
		TimeoutSeconds: 28, // API Gateway waits for 30 s.
		Settings:       settings.ServeLinks{UseLinks: useLinks, SiteURL: cfg.SiteURL},
	})
	reconcileLinks := construct.NewFunction(s, "reconcile-links", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Does the pending tasks of linked accounts, such as revoking those of athletes who left",
		TimeoutSeconds: 240,
		Settings:       useLinks,
	})
	useAccounts := construct.NewFunction(s, "use-accounts", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Lists accounts and makes single calls to Fitbit; invoked by IAM principals of this AWS account",
		TimeoutSeconds: tokensTimeoutSeconds,
		Settings:       useLinks,
	})
	// An athlete who leaves waits for it.
	construct.NewSchedule(s, "LinkReconciliation", &construct.ScheduleProps{Function: reconcileLinks, EveryMinutes: 1})

	for _, f := range []*construct.Function{serveLinks, reconcileLinks, useAccounts} {
		grants.AllowReadWrite(f)
		f.AllowPublish(props.Bus, credentialsv1.Source)
		c.allowParameters(f, "GetParameter", linkedAppParameter, linkedAccountParameters)
		c.allowParameters(f, "PutParameter", linkedAccountParameters)
		c.allowSealing(f, linkedProvider, "kms:GenerateDataKey", "kms:Decrypt")
	}
	for _, f := range []*construct.Function{serveLinks, reconcileLinks} {
		c.allowParameters(f, "DeleteParameter", linkedAccountParameters)
	}
	c.allowParameters(serveLinks, "PutParameter", linkedReceivedParameters)
	c.allowParameters(reconcileLinks, "GetParametersByPath", linkedReceivedPath, linkedReceivedParameters)
	c.allowParameters(reconcileLinks, "DeleteParameter", linkedReceivedParameters)

	construct.NewRoutes(s, "LinkCallback", &construct.RoutesProps{
		API:           props.API,
		Function:      serveLinks,
		Keys:          []string{"GET /oauth/{provider}/callback"},
		PublicBecause: "The state and the cookie say who links the account, and that this browser began it.",
	})
	construct.NewRoutes(s, "Links", &construct.RoutesProps{
		API:        props.API,
		Function:   serveLinks,
		Keys:       []string{"GET /oauth/{provider}/connect", "GET /v1/me/links/{provider}", "DELETE /v1/me/links/{provider}"},
		Authorizer: authorizer,
	})
	output(s, "UseAccountsFunctionName", useAccounts.FunctionName(), "The function by which workers of other systems use linked accounts")
}
