package stack

import (
	"fmt"
	"math"
	"strings"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/customresources"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Parameters below the parameter path: the application's credentials, a token
// pair for each account, and those of connects that could not be written to
// their grants.
const (
	appParameter       = "apps/strava"
	accountParameters  = "accounts/strava/*"
	receivedParameters = "received/strava/*"
	receivedPath       = "received/strava"
	sealedProvider     = "strava"
)

// tokensTimeoutSeconds is how long those may take who renew tokens: Strava is
// waited for, for 20 s, and then its answer must be saved. It is less than a
// lease on an athlete's tokens lasts.
const tokensTimeoutSeconds = 45

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
	// SubscriptionChecker looks whether Strava's webhooks can arrive.
	SubscriptionChecker awslambda.IFunction
	// SessionAuthorizer tells who is calling.
	SessionAuthorizer awsapigatewayv2.CfnAuthorizer

	parameterPath string
	parameterTier string
	tokenKey      awskms.Key
}

// NewCredentials makes the credentials stack.
func NewCredentials(scope constructs.Construct, id string, props *CredentialsProps) *Credentials {
	b := props.Boundary
	cfg := b.Config
	s := newStack(scope, id, cfg, "credentials", "Paceline: tokens, sessions and keys, the requester")
	c := &Credentials{
		Stack:         s,
		parameterPath: "/paceline/" + string(cfg.Stage) + "/credentials",
		parameterTier: cfg.Parameters.Tier,
	}

	if cfg.Placeholder() {
		// Nobody could connect there. Synthesis goes on, but a deployment stops
		// at a parameter without a value and says its name.
		cfg.SiteURL = *awscdk.NewCfnParameter(s, jsii.String("SetSiteUrlInCdkJson"), &awscdk.CfnParameterProps{
			Description: jsii.String("siteUrl of the stage in cdk.json, which is still a placeholder"),
		}).ValueAsString()
	}
	c.tokenKey = newKey(s, "TokenKey", cfg, "Encrypts Strava tokens and application credentials in Parameter Store")
	// An alias goes with the stack also where the key stays: kept, it would be in
	// the way of the stage's next deployment.
	awskms.NewAlias(s, jsii.String("TokenKeyAlias"), &awskms.AliasProps{
		AliasName:     jsii.String("alias/paceline-" + string(cfg.Stage) + "-tokens"),
		TargetKey:     c.tokenKey,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	if cfg.Parameters.HigherThroughput {
		newHigherThroughput(s, cfg)
	}
	grants := construct.NewTable(s, "Grants", &construct.TableProps{
		Config:    cfg,
		Partition: construct.Text("pk"),
		Indexes: []construct.Index{
			{Name: settings.GrantsByProviderIndex, Partition: construct.Text("provider"), SortKey: construct.Text("pk")},
			{Name: settings.PendingGrantsIndex, Partition: construct.Text("pending_of"), SortKey: construct.Number("due")},
		},
	})
	// Sessions and keys are apart from the grants, so that the authorizer, which
	// strangers can reach, may change nothing else.
	credentials := construct.NewTable(s, "Credentials", &construct.TableProps{
		Config:    cfg,
		Partition: construct.Number("athlete_id"),
		SortKey:   construct.Text("hash"),
	})
	// Apart from the grants: nothing leads from who waits to an athlete.
	waiting := construct.NewTable(s, "Waiting", &construct.TableProps{
		Config:    cfg,
		Partition: construct.Text("list"),
		SortKey:   construct.Text("contact"),
	})

	useTokens := settings.UseTokens{
		Stage:            string(cfg.Stage),
		GrantsTable:      *grants.TableName(),
		CredentialsTable: *credentials.TableName(),
		AthleteCapacity:  cfg.Strava.AthleteCapacity,
		ParameterPath:    c.parameterPath,
		TokenKeyID:       *c.tokenKey.KeyId(),
		ParameterTier:    c.parameterTier,
		EventBusName:     *props.Bus.EventBusName(),
		StravaOAuthURL:   cfg.Strava.OAuthURL,
		StravaRevocation: cfg.Strava.Revocation,
		StravaAPIURL:     cfg.Strava.APIURL,
	}
	serveOAuth := construct.NewFunction(s, "serve-oauth", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Connects athletes with Strava and opens and closes their sessions",
		TimeoutSeconds: 28, // API Gateway waits for 30 s.
		Settings: settings.ServeOAuth{
			UseTokens:    useTokens,
			SiteURL:      cfg.SiteURL,
			WaitingTable: *waiting.TableName(),
		},
	})
	authorizeSession := construct.NewFunction(s, "authorize-session", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Identifies the session or key of a request for the HTTP API",
		TimeoutSeconds: 5,
		Settings: settings.AuthorizeSession{
			Stage:            string(cfg.Stage),
			GrantsTable:      *grants.TableName(),
			CredentialsTable: *credentials.TableName(),
		},
	})
	serveAPI := construct.NewFunction(s, "serve-api", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Lets athletes make and revoke keys for programs, and log out everywhere",
		TimeoutSeconds: 28, // API Gateway waits for 30 s.
		Settings: settings.ServeAPI{
			Stage:            string(cfg.Stage),
			SiteURL:          cfg.SiteURL,
			GrantsTable:      *grants.TableName(),
			CredentialsTable: *credentials.TableName(),
		},
	})
	forwardRequest := construct.NewFunction(s, "forward-request", &construct.FunctionProps{
		Boundary:       b,
		Description:    "The requester: adds an athlete's token to one call and forwards it to Strava",
		TimeoutSeconds: tokensTimeoutSeconds,
		Settings:       useTokens,
	})
	administerApp := construct.NewFunction(s, "administer-app", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Sets the Strava application's credentials and webhook; called by IAM principals of the account",
		TimeoutSeconds: 60,
		Settings: settings.AdministerApp{
			SiteURL:          cfg.SiteURL,
			GrantsTable:      *grants.TableName(),
			CredentialsTable: *credentials.TableName(),
			WaitingTable:     *waiting.TableName(),
			AthleteCapacity:  cfg.Strava.AthleteCapacity,
			ParameterPath:    c.parameterPath,
			TokenKeyID:       *c.tokenKey.KeyId(),
			ParameterTier:    c.parameterTier,
			EventBusName:     *props.Bus.EventBusName(),
			StravaPushURL:    cfg.Strava.PushURL,
		},
	})
	checkSubscription := construct.NewFunction(s, "check-subscription", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Looks whether the webhook's callback answers and Strava has the push subscription",
		TimeoutSeconds: 30, // The callback is waited for for 2 s, Strava for 20 s.
		Settings: settings.CheckSubscription{
			SiteURL:       cfg.SiteURL,
			ParameterPath: c.parameterPath,
			TokenKeyID:    *c.tokenKey.KeyId(),
			ParameterTier: c.parameterTier,
			StravaPushURL: cfg.Strava.PushURL,
		},
	})
	handleEvents := construct.NewFunction(s, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Ends authorizations and follows erasures to their receipts",
		TimeoutSeconds: tokensTimeoutSeconds,
		Settings:       useTokens,
	})
	reconcileGrants := construct.NewFunction(s, "reconcile-grants", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Does the pending tasks of grants: connects, revocations and announcements that were cut off",
		TimeoutSeconds: 240,
		Settings:       useTokens,
	})
	construct.NewSchedule(s, "Reconciliation", &construct.ScheduleProps{Function: reconcileGrants, EveryMinutes: 5})

	grants.AllowReadWrite(serveOAuth, forwardRequest, administerApp, handleEvents, reconcileGrants)
	grants.AllowScan(administerApp)
	waiting.AllowReadWrite(serveOAuth, administerApp)
	// The functions read the caller's session or key with the grant, and note its use.
	grants.AllowGet(authorizeSession, serveAPI)
	credentials.AllowGet(authorizeSession)
	credentials.AllowUpdate(authorizeSession)
	credentials.AllowReadWrite(serveOAuth, serveAPI, handleEvents, reconcileGrants)
	credentials.AllowScan(administerApp)
	credentials.AllowDelete(administerApp)
	for _, f := range []*construct.Function{serveOAuth, forwardRequest, administerApp, handleEvents, reconcileGrants} {
		f.AllowPublish(props.Bus, credentialsv1.Source)
	}
	c.allowParameters(serveOAuth, "GetParameter", appParameter)
	c.allowParameters(serveOAuth, "PutParameter", accountParameters, receivedParameters)
	c.allowParameters(forwardRequest, "GetParameter", appParameter, accountParameters)
	c.allowParameters(forwardRequest, "PutParameter", accountParameters)
	c.allowParameters(administerApp, "GetParameter", appParameter, linkedAppParameter)
	c.allowParameters(administerApp, "PutParameter", appParameter, linkedAppParameter)
	c.allowParameters(administerApp, "GetParameterHistory", appParameter, linkedAppParameter)
	c.allowClearing(administerApp)
	c.allowParameters(checkSubscription, "GetParameter", appParameter)
	for _, f := range []*construct.Function{handleEvents, reconcileGrants} {
		c.allowParameters(f, "GetParameter", appParameter, accountParameters)
		c.allowParameters(f, "PutParameter", accountParameters)
		c.allowParameters(f, "DeleteParameter", accountParameters)
	}
	c.allowParameters(reconcileGrants, "GetParametersByPath", receivedPath, receivedParameters)
	c.allowParameters(reconcileGrants, "DeleteParameter", receivedParameters)
	c.allowSealing(serveOAuth, sealedProvider, "kms:GenerateDataKey")
	for _, f := range []*construct.Function{forwardRequest, handleEvents, reconcileGrants} {
		c.allowSealing(f, sealedProvider, "kms:GenerateDataKey", "kms:Decrypt")
	}

	construct.NewRoutes(s, "OAuth", &construct.RoutesProps{
		API:           props.API,
		Function:      serveOAuth,
		Keys:          []string{"GET /oauth/connect", "GET /oauth/callback", "POST /oauth/logout", "POST /oauth/waitlist"},
		PublicBecause: "Whoever connects or waits to has no session yet, and logging out needs none.",
	})
	c.SessionAuthorizer = newSessionAuthorizer(s, props.API, authorizeSession)
	authorizer := useAuthorizer(s, c.SessionAuthorizer)
	construct.NewRoutes(s, "Api", &construct.RoutesProps{
		API:        props.API,
		Function:   serveAPI,
		Keys:       []string{"GET /v1/me/keys", "POST /v1/me/keys", "DELETE /v1/me/keys/{id}", "DELETE /v1/me/sessions"},
		Authorizer: authorizer,
	})
	c.addLinks(props, grants, authorizer)
	construct.NewEventConsumer(s, "Consumer", &construct.EventConsumerProps{
		Boundary: b,
		Bus:      props.Bus,
		Function: handleEvents,
		// Ending one authorization may take most of the function's time.
		BatchSize: 1,
		Facts: []event.Fact{
			gatheringv1.DeauthorizationReported{},
			gatheringv1.ErasureCompleted{},
			athletev1.ErasureRequested{},
			athletev1.ErasureCompleted{},
			activityv1.ErasureCompleted{},
		},
	})
	type alarm struct {
		id, what, metric, statistic string
		minutes, threshold          float64
	}
	alarms := []alarm{
		{"TokensUnsavedAlarm", "tokens could not be saved", metric.Unsaved, "Sum", 5, 1},
		{"GrantsDegradedAlarm", "many athletes have to connect again", metric.Degraded, "Sum", 60, 5},
		// A gatherer tries a job that fails again after 15 s, and then ever later:
		// five times within a quarter of an hour.
		{"CallsFailedAlarm", "forwarded calls fail", metric.CallFailed, "Sum", 15, 5},
		{"CallsUnavailableAlarm", "Strava does not answer", metric.CallUnavailable, "Sum", 15, 5},
		{"CallsAppRefusedAlarm", "Strava refuses the application", metric.CallAppRefused, "Sum", 15, 1},
		{"TasksOverdueAlarm", "a task is overdue", metric.Overdue, "Maximum", 15, 1},
	}
	if places := cfg.Strava.AthleteCapacity; places > 1 { // With one place, to be full is to be in use.
		alarms = append(alarms, alarm{
			"AthletesAuthorizedAlarm", "nine places of ten are taken", metric.Authorized, "Maximum", 15,
			math.Ceil(0.9 * float64(places)),
		})
	}
	for _, a := range alarms {
		construct.NewAlarm(s, a.id, &construct.AlarmProps{
			Boundary: b,
			What:     a.what,
			Metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
				Namespace:     jsii.String(metric.Namespace),
				MetricName:    jsii.String(a.metric),
				DimensionsMap: &map[string]*string{"stage": jsii.String(string(cfg.Stage))},
				Statistic:     jsii.String(a.statistic),
				Period:        awscdk.Duration_Minutes(jsii.Number(a.minutes)),
			}),
			Threshold: a.threshold,
		})
	}

	c.Requester = forwardRequest.Function
	c.SubscriptionChecker = checkSubscription.Function
	output(s, "ReconcileFunctionName", reconcileGrants.FunctionName(), "The function that `paceline admin stage clear` calls to have it done sooner")
	output(s, "AdminFunctionName", administerApp.FunctionName(), "The function that `paceline admin` calls")
	return c
}

// newKey makes a KMS key whose own policy is the only place that lets anyone
// use it. The account may administer it, but no IAM policy, not even an
// administrator's, can grant the use of it: who wants to read tokens must
// change the key's policy first, which CloudTrail tells.
func newKey(s awscdk.Stack, id string, c config.Config, description string) awskms.Key {
	policy := awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
		Statements: &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("AdministerButNeverUse"),
			Principals: &[]awsiam.IPrincipal{awsiam.NewAccountRootPrincipal()},
			Actions: jsii.Strings(
				"kms:DescribeKey", "kms:UpdateKeyDescription", "kms:EnableKey", "kms:DisableKey",
				"kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListKeyPolicies",
				"kms:GetKeyRotationStatus", "kms:EnableKeyRotation", "kms:DisableKeyRotation",
				"kms:ListResourceTags", "kms:TagResource", "kms:UntagResource",
				"kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
				"kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias",
			),
			Resources: thisKey(),
		})},
	})
	return awskms.NewKey(s, jsii.String(id), &awskms.KeyProps{
		Description:       jsii.String(description),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     construct.RemovalPolicy(c),
		Policy:            policy,
	})
}

// thisKey is what a key's policy calls the key itself; KMS has no other name
// for it there (KMS developer guide, "Key policies").
func thisKey() *[]*string { return jsii.Strings("*") }

// allowKey lets a function use a key for one action.
func allowKey(key awskms.Key, f *construct.Function, action string, conditions map[string]any) {
	statement := &awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{f.Role()},
		Actions:    jsii.Strings(action),
		Resources:  thisKey(),
	}
	if conditions != nil {
		statement.Conditions = &conditions
	}
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(statement), nil)
}

// keyAction is what Parameter Store does with the key in the caller's name, or
// "" for nothing (Systems Manager user guide, "AWS KMS encryption for Parameter
// Store SecureString parameters"). It encrypts a standard parameter under the
// key itself and an advanced one under a data key, whose encrypted copy it
// keeps; to decrypt either takes the same.
func (c *Credentials) keyAction(action string) string {
	switch {
	case action == "GetParameter", action == "GetParametersByPath":
		return "kms:Decrypt"
	case action == "PutParameter" && c.parameterTier == settings.TierAdvanced:
		return "kms:GenerateDataKey"
	case action == "PutParameter":
		return "kms:Encrypt"
	}
	return ""
}

// allowParameters lets a function do one thing with parameters below the
// boundary's path, and use the token key for just these: Parameter Store puts
// the parameter's ARN into the encryption context.
func (c *Credentials) allowParameters(f *construct.Function, action string, names ...string) {
	var arns []*string
	for _, name := range names {
		arns = append(arns, c.parameterARN("/"+name))
		if strings.HasSuffix(name, "/*") {
			construct.Acknowledge(f.Role(), "AwsSolutions-IAM5", "Each account has parameters of its own, made at run time.",
				fmt.Sprintf("Resource::arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter%s/%s", c.parameterPath, name))
		}
	}
	f.Allow([]string{"ssm:" + action}, arns...)
	if a := c.keyAction(action); a != "" {
		allowKey(c.tokenKey, f, a, map[string]any{
			"StringLike": map[string]any{"kms:EncryptionContext:PARAMETER_ARN": arns},
		})
	}
}

// parameterARN is the ARN of what has the suffix after the boundary's path.
func (c *Credentials) parameterARN(suffix string) *string {
	return c.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("ssm"),
		Resource:     jsii.String("parameter"),
		ResourceName: jsii.String(c.parameterPath[1:] + suffix),
	})
}

// allowClearing lets a function find and delete all parameters of the boundary.
// It gets to see names and what is encrypted, not what that says, which takes
// the key.
func (c *Credentials) allowClearing(f *construct.Function) {
	f.Allow([]string{"ssm:GetParametersByPath"}, c.parameterARN(""), c.parameterARN("/*"))
	f.Allow([]string{"ssm:DeleteParameters"}, c.parameterARN("/*"))
	construct.Acknowledge(f.Role(), "AwsSolutions-IAM5", "Which parameters were made at run time is not known before.",
		fmt.Sprintf("Resource::arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter%s/*", c.parameterPath))
}

// newHigherThroughput turns the higher throughput of Parameter Store on, for all
// of the account and region. Deleting the resource leaves it on: another stage
// may need it.
func newHigherThroughput(s awscdk.Stack, c config.Config) {
	setting := s.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("ssm"),
		Resource:     jsii.String("servicesetting"),
		ResourceName: jsii.String("ssm/parameter-store/high-throughput-enabled"),
	})
	customresources.NewAwsCustomResource(s, jsii.String("HigherThroughput"), &customresources.AwsCustomResourceProps{
		OnUpdate: &customresources.AwsSdkCall{ // At creation, too.
			Service:            jsii.String("SSM"),
			Action:             jsii.String("updateServiceSetting"),
			Parameters:         map[string]any{"SettingId": setting, "SettingValue": "true"},
			PhysicalResourceId: customresources.PhysicalResourceId_Of(jsii.String("higher-throughput")),
		},
		Policy: customresources.AwsCustomResourcePolicy_FromStatements(&[]awsiam.PolicyStatement{
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions:   jsii.Strings("ssm:UpdateServiceSetting"),
				Resources: &[]*string{setting},
			}),
		}),
		InstallLatestAwsSdk: jsii.Bool(false),
		LogGroup:            construct.NewLogGroup(s, "HigherThroughputLogs", c),
	})
	for _, child := range *s.Node().Children() {
		if strings.HasPrefix(*child.Node().Id(), "AWS679f53fa") { // the CDK's name for the function behind it
			construct.Acknowledge(child, "AwsSolutions-IAM4", "This function and its role are the CDK's own, and run while deploying only.")
		}
	}
}

// allowSealing lets a function keep token pairs in the grants table, sealed by a
// data key of the provider that the encryption context names.
func (c *Credentials) allowSealing(f *construct.Function, provider string, actions ...string) {
	for _, action := range actions {
		allowKey(c.tokenKey, f, action, map[string]any{
			"StringEquals": map[string]any{"kms:EncryptionContext:" + settings.SealContextKey: provider},
		})
	}
}

// newSessionAuthorizer lets the HTTP API ask authorize-session about every
// request. It has no identity source, for API Gateway would answer a request
// without one by a bare 401 of its own; and without one nothing can be cached.
func newSessionAuthorizer(s awscdk.Stack, api awsapigatewayv2.IHttpApi, f *construct.Function) awsapigatewayv2.CfnAuthorizer {
	authorizer := awsapigatewayv2.NewCfnAuthorizer(s, jsii.String("SessionAuthorizer"), &awsapigatewayv2.CfnAuthorizerProps{
		ApiId:          api.ApiId(),
		Name:           jsii.String("session"),
		AuthorizerType: jsii.String("REQUEST"),
		AuthorizerUri: s.FormatArn(&awscdk.ArnComponents{
			Service:      jsii.String("apigateway"),
			Account:      jsii.String("lambda"),
			Resource:     jsii.String("path"),
			ResourceName: jsii.String("2015-03-31/functions/" + *f.FunctionArn() + "/invocations"),
		}),
		IdentitySource:                 &[]*string{},
		AuthorizerPayloadFormatVersion: jsii.String("2.0"),
		EnableSimpleResponses:          jsii.Bool(true),
		AuthorizerResultTtlInSeconds:   jsii.Number(0),
	})
	f.AddPermission(jsii.String("Authorize"), &awslambda.Permission{
		Principal: awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
		SourceArn: s.FormatArn(&awscdk.ArnComponents{
			Service:      jsii.String("execute-api"),
			Resource:     api.ApiId(),
			ResourceName: jsii.String("authorizers/" + *authorizer.Ref()),
		}),
	})
	return authorizer
}

// useAuthorizer makes the session authorizer known to a stack's routes.
func useAuthorizer(s awscdk.Stack, a awsapigatewayv2.CfnAuthorizer) awsapigatewayv2.IHttpRouteAuthorizer {
	return awsapigatewayv2.HttpAuthorizer_FromHttpAuthorizerAttributes(s, jsii.String("KnownSessionAuthorizer"),
		&awsapigatewayv2.HttpAuthorizerAttributes{AuthorizerId: a.Ref(), AuthorizerType: jsii.String("CUSTOM")})
}
