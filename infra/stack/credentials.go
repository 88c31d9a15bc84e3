package stack

import (
	"math"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

const (
	// tokensTimeoutSeconds is the timeout of functions that refresh tokens. They
	// wait up to 20 s for Strava and must then save its answer. It is shorter than
	// a lease on an athlete's tokens.
	tokensTimeoutSeconds = 45
	// routeTimeoutSeconds is the timeout of functions that a slow provider may hold
	// up while API Gateway waits for them, for 30 s at most.
	routeTimeoutSeconds = 28
)

// CredentialsProps configures the credentials boundary.
type CredentialsProps struct {
	Boundary *construct.Boundary
	Bus      awsevents.IEventBus
	API      awsapigatewayv2.IHttpApi
}

// Credentials holds all tokens, and is the only stack that can reach them.
type Credentials struct {
	awscdk.Stack
	// Requester makes one call to Strava on behalf of one athlete.
	Requester awslambda.IFunction
	// SubscriptionChecker checks whether Strava's webhooks can arrive.
	SubscriptionChecker awslambda.IFunction
	// SessionAuthorizer identifies the caller of a route.
	SessionAuthorizer awsapigatewayv2.CfnAuthorizer

	props *CredentialsProps
	// config is the boundary's, without a placeholder as its site's URL.
	config        config.Config
	parameterPath string
	tokenKey      awskms.Key
	// authorizer is SessionAuthorizer for this stack's routes.
	authorizer awsapigatewayv2.IHttpRouteAuthorizer

	grants *construct.Table
	// credentials are sessions and keys. They have a table of their own, so that
	// the authorizer, which strangers can reach, can change nothing else.
	credentials *construct.Table
	// waitlist is apart from the grants: no contact in it leads to an athlete.
	waitlist *construct.Table

	serveOAuth, forwardRequest, handleEvents, reconcileGrants *construct.Function
	authorizeSession, serveAPI                                *construct.Function
	administerApp, checkSubscription                          *construct.Function
}

// NewCredentials makes the credentials stack.
func NewCredentials(scope constructs.Construct, id string, props *CredentialsProps) *Credentials {
	cfg := props.Boundary.Config
	c := &Credentials{
		Stack:         newStack(scope, id, cfg, "credentials", "Paceline: tokens, sessions and keys, the requester"),
		props:         props,
		config:        cfg,
		parameterPath: "/paceline/" + string(cfg.Stage) + "/credentials",
	}
	if cfg.Placeholder() {
		// No athlete could connect there. Synthesis continues, but a deployment
		// stops at a parameter without a value and names it.
		c.config.SiteURL = *awscdk.NewCfnParameter(c.Stack, jsii.String("SetSiteUrlInCdkJson"), &awscdk.CfnParameterProps{
			Description: jsii.String("siteUrl of the stage in cdk.json, which is still a placeholder"),
		}).ValueAsString()
	}
	c.tokenKey = newTokenKey(c.Stack, cfg)
	if cfg.Parameters.HigherThroughput {
		newHigherThroughput(c.Stack, cfg)
	}
	c.addTables()
	c.addTokenFunctions()
	c.addSessionFunctions()
	c.addApplicationFunctions()
	c.allowTables()
	c.allowPublish()
	c.allowParameters()
	c.addRoutes()
	c.addLinks()
	c.addTriggers()
	c.addAlarms()
	c.Requester = c.forwardRequest.Function
	c.SubscriptionChecker = c.checkSubscription.Function
	output(c.Stack, "ReconcileFunctionName", c.reconcileGrants.FunctionName(), "The function that `paceline admin stage clear` invokes to complete revocations sooner")
	output(c.Stack, "AdminFunctionName", c.administerApp.FunctionName(), "The function that `paceline admin` invokes")
	return c
}

func (c *Credentials) addTables() {
	c.grants = construct.NewTable(c.Stack, "Grants", &construct.TableProps{
		Config:    c.config,
		Partition: construct.Text("pk"),
		Indexes: []construct.Index{
			{Name: settings.GrantsByProviderIndex, Partition: construct.Text("provider"), SortKey: construct.Text("pk")},
			{Name: settings.PendingGrantsIndex, Partition: construct.Text("pending_of"), SortKey: construct.Number("due")},
		},
	})
	c.credentials = construct.NewTable(c.Stack, "Credentials", &construct.TableProps{
		Config:    c.config,
		Partition: construct.Number("athlete_id"),
		SortKey:   construct.Text("hash"),
	})
	c.waitlist = construct.NewTable(c.Stack, "Waiting", &construct.TableProps{
		Config:    c.config,
		Partition: construct.Text("list"),
		SortKey:   construct.Text("contact"),
	})
}

// addTokenFunctions makes the functions that use athletes' tokens.
func (c *Credentials) addTokenFunctions() {
	useTokens := settings.UseTokens{
		Stage:            string(c.config.Stage),
		GrantsTable:      *c.grants.TableName(),
		CredentialsTable: *c.credentials.TableName(),
		AthleteCapacity:  c.config.Strava.AthleteCapacity,
		ParameterPath:    c.parameterPath,
		TokenKeyID:       *c.tokenKey.KeyId(),
		ParameterTier:    c.config.Parameters.Tier,
		EventBusName:     *c.props.Bus.EventBusName(),
		StravaOAuthURL:   c.config.Strava.OAuthURL,
		StravaRevocation: c.config.Strava.Revocation,
		StravaAPIURL:     c.config.Strava.APIURL,
	}
	c.serveOAuth = construct.NewFunction(c.Stack, "serve-oauth", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Connects athletes with Strava, and starts and ends their sessions",
		TimeoutSeconds: routeTimeoutSeconds,
		Settings: settings.ServeOAuth{
			UseTokens:     useTokens,
			SiteURL:       c.config.SiteURL,
			WaitlistTable: *c.waitlist.TableName(),
		},
	})
	c.forwardRequest = construct.NewFunction(c.Stack, "forward-request", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "The requester: adds an athlete's token to one call and forwards it to Strava",
		TimeoutSeconds: tokensTimeoutSeconds,
		Settings:       useTokens,
	})
	c.handleEvents = construct.NewFunction(c.Stack, "handle-events", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Ends authorizations and follows erasures to their receipts",
		TimeoutSeconds: tokensTimeoutSeconds,
		Settings:       useTokens,
	})
	c.reconcileGrants = construct.NewFunction(c.Stack, "reconcile-grants", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Completes the pending tasks of grants, such as interrupted connects and revocations",
		TimeoutSeconds: 240,
		Settings:       useTokens,
	})
}

// addSessionFunctions makes the functions that know sessions and keys, and no
// tokens.
func (c *Credentials) addSessionFunctions() {
	c.authorizeSession = construct.NewFunction(c.Stack, "authorize-session", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Identifies the session or key of a request for the HTTP API",
		TimeoutSeconds: 5,
		Settings: settings.AuthorizeSession{
			Stage:            string(c.config.Stage),
			GrantsTable:      *c.grants.TableName(),
			CredentialsTable: *c.credentials.TableName(),
		},
	})
	c.serveAPI = construct.NewFunction(c.Stack, "serve-api", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Lets athletes make and revoke keys for programs, and log out everywhere",
		TimeoutSeconds: routeTimeoutSeconds,
		Settings: settings.ServeAPI{
			Stage:            string(c.config.Stage),
			SiteURL:          c.config.SiteURL,
			GrantsTable:      *c.grants.TableName(),
			CredentialsTable: *c.credentials.TableName(),
		},
	})
}

// addApplicationFunctions makes the functions that use the credentials of the
// application at Strava.
func (c *Credentials) addApplicationFunctions() {
	c.administerApp = construct.NewFunction(c.Stack, "administer-app", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Administers applications, athletes and the stage; invoked by IAM principals of this AWS account",
		TimeoutSeconds: 60,
		Settings: settings.AdministerApp{
			SiteURL:          c.config.SiteURL,
			GrantsTable:      *c.grants.TableName(),
			CredentialsTable: *c.credentials.TableName(),
			WaitlistTable:    *c.waitlist.TableName(),
			AthleteCapacity:  c.config.Strava.AthleteCapacity,
			ParameterPath:    c.parameterPath,
			TokenKeyID:       *c.tokenKey.KeyId(),
			ParameterTier:    c.config.Parameters.Tier,
			EventBusName:     *c.props.Bus.EventBusName(),
			StravaPushURL:    c.config.Strava.PushURL,
		},
	})
	c.checkSubscription = construct.NewFunction(c.Stack, "check-subscription", &construct.FunctionProps{
		Boundary:       c.props.Boundary,
		Description:    "Checks that the webhook's callback answers and Strava has the push subscription",
		TimeoutSeconds: 30, // It waits 2 s for the callback, 20 s for Strava.
		Settings: settings.CheckSubscription{
			SiteURL:       c.config.SiteURL,
			ParameterPath: c.parameterPath,
			TokenKeyID:    *c.tokenKey.KeyId(),
			ParameterTier: c.config.Parameters.Tier,
			StravaPushURL: c.config.Strava.PushURL,
		},
	})
}

func (c *Credentials) allowTables() {
	c.grants.AllowReadWrite(c.serveOAuth, c.forwardRequest, c.administerApp, c.handleEvents, c.reconcileGrants)
	c.waitlist.AllowReadWrite(c.serveOAuth, c.administerApp)
	// They read the caller's session or key with the grant, and record its use.
	c.grants.AllowGet(c.authorizeSession, c.serveAPI)
	c.credentials.AllowGet(c.authorizeSession)
	c.credentials.AllowUpdate(c.authorizeSession)
	c.credentials.AllowReadWrite(c.serveOAuth, c.serveAPI, c.handleEvents, c.reconcileGrants)
	c.credentials.AllowScan(c.administerApp)
	c.credentials.AllowDelete(c.administerApp)
}

func (c *Credentials) allowPublish() {
	for _, f := range []*construct.Function{c.serveOAuth, c.forwardRequest, c.administerApp, c.handleEvents, c.reconcileGrants} {
		f.AllowPublish(c.props.Bus, credentialsv1.Source)
	}
}

func (c *Credentials) addRoutes() {
	construct.NewRoutes(c.Stack, "OAuth", &construct.RoutesProps{
		API:           c.props.API,
		Function:      c.serveOAuth,
		Keys:          []string{"GET /oauth/connect", "GET /oauth/callback", "POST /oauth/logout", "POST /oauth/waitlist"},
		PublicBecause: "A person who connects or joins the waitlist has no session, and logging out needs none.",
	})
	c.SessionAuthorizer = newSessionAuthorizer(c.Stack, c.props.API, c.authorizeSession)
	c.authorizer = useAuthorizer(c.Stack, c.SessionAuthorizer)
	construct.NewRoutes(c.Stack, "Api", &construct.RoutesProps{
		API:        c.props.API,
		Function:   c.serveAPI,
		Keys:       []string{"GET /v1/me/keys", "POST /v1/me/keys", "DELETE /v1/me/keys/{id}", "DELETE /v1/me/sessions"},
		Authorizer: c.authorizer,
	})
}

// addTriggers makes the schedule and the event consumer.
func (c *Credentials) addTriggers() {
	construct.NewSchedule(c.Stack, "Reconciliation", &construct.ScheduleProps{Function: c.reconcileGrants, EveryMinutes: 5})
	construct.NewEventConsumer(c.Stack, "Consumer", &construct.EventConsumerProps{
		Boundary: c.props.Boundary,
		Bus:      c.props.Bus,
		Function: c.handleEvents,
		// Ending one authorization may take most of the function's time.
		BatchSize: 1,
		Facts: []event.Fact{
			gatheringv1.DeauthorizationReported{},
			athletev1.ErasureRequested{},
		},
	})
}

func (c *Credentials) addAlarms() {
	alarms := []construct.MetricAlarm{
		{
			ID: "TokensUnsavedAlarm", Title: "tokens could not be saved",
			Metric: metric.Unsaved, Statistic: construct.Sum, Period: 5 * time.Minute, Threshold: 1,
		},
		{
			ID: "GrantsDegradedAlarm", Title: "many athletes must reconnect",
			Metric: metric.Degraded, Statistic: construct.Sum, Period: time.Hour, Threshold: 5,
		},
		// A gatherer retries a failing job after 15 s at first, then ever later: five
		// times within a quarter of an hour.
		{
			ID: "CallsFailedAlarm", Title: "forwarded calls fail",
			Metric: metric.CallFailed, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 5,
		},
		{
			ID: "CallsUnavailableAlarm", Title: "Strava does not answer",
			Metric: metric.CallUnavailable, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 5,
		},
		{
			ID: "CallsAppRefusedAlarm", Title: "Strava refuses the application",
			Metric: metric.CallAppRefused, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 1,
		},
		{
			ID: "TasksOverdueAlarm", Title: "a task is overdue",
			Metric: metric.Overdue, Statistic: construct.Maximum, Period: 15 * time.Minute, Threshold: 1,
		},
	}
	if capacity := c.config.Strava.AthleteCapacity; capacity > 1 { // A capacity of 1 is full in normal use.
		alarms = append(alarms, construct.MetricAlarm{
			ID: "AthletesAuthorizedAlarm", Title: "90% of the athlete capacity is used",
			Metric: metric.Authorized, Statistic: construct.Maximum, Period: 15 * time.Minute, Threshold: math.Ceil(0.9 * float64(capacity)),
		})
	}
	construct.NewMetricAlarms(c.Stack, c.props.Boundary, metric.Namespace, alarms...)
}
