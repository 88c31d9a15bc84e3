package construct

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// RoutesProps configures routes of the HTTP API.
type RoutesProps struct {
	API      awsapigatewayv2.IHttpApi
	Function *Function
	// Keys are API Gateway's route keys: "GET /v1/me", or "$default" for all
	// that no other route takes.
	Keys []string
	// Authorizer tells the function who is calling. It or PublicBecause
	// must be there.
	Authorizer awsapigatewayv2.IHttpRouteAuthorizer
	// PublicBecause is why the routes do without an authorizer.
	PublicBecause string
}

// NewRoutes lets the function answer routes of the HTTP API.
func NewRoutes(scope constructs.Construct, id string, props *RoutesProps) {
	if (props.Authorizer == nil) == (props.PublicBecause == "") {
		panic(fmt.Sprintf("NewRoutes %s: either Authorizer or PublicBecause", id))
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
