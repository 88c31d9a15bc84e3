package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/construct"
)

// newSessionAuthorizer makes the authorizer that has authorize-session identify
// the caller of each request. It has no identity source: API Gateway would answer
// a request without it with its own bare 401. So results cannot be cached.
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

// useAuthorizer returns the session authorizer for the routes of a stack.
func useAuthorizer(s awscdk.Stack, a awsapigatewayv2.CfnAuthorizer) awsapigatewayv2.IHttpRouteAuthorizer {
	return awsapigatewayv2.HttpAuthorizer_FromHttpAuthorizerAttributes(s, jsii.String("KnownSessionAuthorizer"),
		&awsapigatewayv2.HttpAuthorizerAttributes{AuthorizerId: a.Ref(), AuthorizerType: jsii.String("CUSTOM")})
}
