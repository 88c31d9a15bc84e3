package construct

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// RoutesProps configures routes of an HTTP API.
type RoutesProps struct {
	API      awsapigatewayv2.IHttpApi
	Function *Function
	// Keys are API Gateway's route keys, such as "GET /v1/me". The key "$default"
	// matches requests that no other route matches.
	Keys []string
	// Authorizer identifies the caller. Either it or PublicBecause must be set.
	Authorizer awsapigatewayv2.IHttpRouteAuthorizer
	// PublicBecause is the reason why the routes have no authorizer.
	PublicBecause string
}

// NewRoutes makes routes that a function serves.
func NewRoutes(scope constructs.Construct, id string, props *RoutesProps) {
	if (props.Authorizer == nil) == (props.PublicBecause == "") {
		panic(fmt.Sprintf("NewRoutes %s: set either Authorizer or PublicBecause", id))
	}
	self := constructs.NewConstruct(scope, jsii.String(id))
	integration := awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Integration"), props.Function.Function,
		&awsapigatewayv2integrations.HttpLambdaIntegrationProps{PayloadFormatVersion: awsapigatewayv2.PayloadFormatVersion_VERSION_2_0()})
	for _, key := range props.Keys {
		routeKey := awsapigatewayv2.HttpRouteKey_DEFAULT()
		if method, path, ok := strings.Cut(key, " "); ok {
			routeKey = awsapigatewayv2.HttpRouteKey_With(jsii.String(path), awsapigatewayv2.HttpMethod(method))
		}
		route := awsapigatewayv2.NewHttpRoute(self, jsii.String(key), &awsapigatewayv2.HttpRouteProps{
			HttpApi:     props.API,
			RouteKey:    routeKey,
			Integration: integration,
			Authorizer:  props.Authorizer,
		})
		if props.PublicBecause != "" {
			Acknowledge(route, "AwsSolutions-APIG4", props.PublicBecause)
		}
	}
}
