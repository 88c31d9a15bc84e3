package stack

import (
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Parameters of linked accounts, below the parameter path. The functions that
// use linked accounts reach these and none of Strava's, and Strava's functions
// reach none of these. administer-app reaches the applications of all providers.
const (
	linkedProvider           = "fitbit"
	linkedAppParameter       = "apps/fitbit"
	linkedAccountParameters  = "accounts/fitbit/*"
	linkedReceivedParameters = "received/fitbit/*"
	linkedReceivedPath       = "received/fitbit"
)

// linkFunctions use linked accounts. In the grants table they also write to the
// athletes' own grants, which name the linked accounts.
type linkFunctions struct {
	serveLinks, reconcileLinks, useAccounts *construct.Function
}

// addLinks makes the part of the stack that serves linked accounts.
func (c *Credentials) addLinks() {
	l := c.newLinkFunctions()
	// The erasure of an athlete waits for it.
	construct.NewSchedule(c.Stack, "LinkReconciliation", &construct.ScheduleProps{Function: l.reconcileLinks, EveryMinutes: 1})
	c.allowLinks(l)
	construct.NewRoutes(c.Stack, "LinkCallback", &construct.RoutesProps{
		API:           c.props.API,
		Function:      l.serveLinks,
		Keys:          []string{"GET /oauth/{provider}/callback"},
		PublicBecause: "The state and the cookie identify the athlete, and the browser that started the link.",
	})
	construct.NewRoutes(c.Stack, "Links", &construct.RoutesProps{
		API:        c.props.API,
		Function:   l.serveLinks,
		Keys:       []string{"GET /oauth/{provider}/connect", "GET /v1/me/links/{provider}", "DELETE /v1/me/links/{provider}"},
		Authorizer: c.authorizer,
	})
	output(c.Stack, "UseAccountsFunctionName", l.useAccounts.FunctionName(), "The function that workers of other systems invoke to use linked accounts")
}

func (c *Credentials) newLinkFunctions() *linkFunctions {
	useLinks := settings.UseLinks{
		Stage:         string(c.config.Stage),
		GrantsTable:   *c.grants.TableName(),
		ParameterPath: c.parameterPath,
		TokenKeyID:    *c.tokenKey.KeyId(),
		EventBusName:  *c.props.Bus.EventBusName(),
		ParameterTier: c.config.Parameters.Tier,
		FitbitSiteURL: c.config.Fitbit.SiteURL,
		FitbitAPIURL:  c.config.Fitbit.APIURL,
	}
	return &linkFunctions{
		serveLinks: construct.NewFunction(c.Stack, "serve-links", &construct.FunctionProps{
			Boundary:       c.props.Boundary,
			Description:    "Links and unlinks athletes' accounts at Fitbit, and shows the day's activity",
			TimeoutSeconds: routeTimeoutSeconds,
			Settings:       settings.ServeLinks{UseLinks: useLinks, SiteURL: c.config.SiteURL},
		}),
		reconcileLinks: construct.NewFunction(c.Stack, "reconcile-links", &construct.FunctionProps{
			Boundary:       c.props.Boundary,
			Description:    "Completes the pending tasks of linked accounts, such as revoking those of athletes who left",
			TimeoutSeconds: 240,
			Settings:       useLinks,
		}),
		useAccounts: construct.NewFunction(c.Stack, "use-accounts", &construct.FunctionProps{
			Boundary:       c.props.Boundary,
			Description:    "Lists accounts and makes single calls to Fitbit; invoked by IAM principals of this AWS account",
			TimeoutSeconds: tokensTimeoutSeconds,
			Settings:       useLinks,
		}),
	}
}

func (c *Credentials) allowLinks(l *linkFunctions) {
	for _, f := range []*construct.Function{l.serveLinks, l.reconcileLinks, l.useAccounts} {
		c.grants.AllowReadWrite(f)
		f.AllowPublish(c.props.Bus, credentialsv1.Source)
		c.allowParameter(f, "GetParameter", linkedAppParameter, linkedAccountParameters)
		c.allowParameter(f, "PutParameter", linkedAccountParameters)
		c.allowSealing(f, linkedProvider, "kms:GenerateDataKey", "kms:Decrypt")
	}
	for _, f := range []*construct.Function{l.serveLinks, l.reconcileLinks} {
		c.allowParameter(f, "DeleteParameter", linkedAccountParameters)
	}
	c.allowParameter(l.serveLinks, "PutParameter", linkedReceivedParameters)
	c.allowParameter(l.reconcileLinks, "GetParametersByPath", linkedReceivedPath, linkedReceivedParameters)
	c.allowParameter(l.reconcileLinks, "DeleteParameter", linkedReceivedParameters)
}
