package construct

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
)

// HTTPAPIProps configures an HTTP API.
type HTTPAPIProps struct {
	Config config.Config
	// RequestsPerSecond and Burst limit the requests of all callers together.
	RequestsPerSecond, Burst float64
}

// NewHTTPAPI makes an HTTP API without routes, its stage, and its access log.
func NewHTTPAPI(scope constructs.Construct, id string, props *HTTPAPIProps) (awsapigatewayv2.HttpApi, awslogs.LogGroup) {
	if props.RequestsPerSecond <= 0 || props.Burst <= 0 {
		panic("NewHTTPAPI " + id + ": RequestsPerSecond or Burst is missing")
	}
	api := awsapigatewayv2.NewHttpApi(scope, jsii.String(id), &awsapigatewayv2.HttpApiProps{
		CreateDefaultStage: jsii.Bool(false),
	})
	stage := awsapigatewayv2.NewHttpStage(scope, jsii.String(id+"Stage"), &awsapigatewayv2.HttpStageProps{
		HttpApi:    api,
		AutoDeploy: jsii.Bool(true),
		Throttle: &awsapigatewayv2.ThrottleSettings{
			RateLimit: jsii.Number(props.RequestsPerSecond), BurstLimit: jsii.Number(props.Burst),
		},
	})
	logs := NewLogGroup(scope, "AccessLogs", props.Config)
	stage.Node().DefaultChild().(awsapigatewayv2.CfnStage).SetAccessLogSettings(&awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
		DestinationArn: logs.LogGroupArn(),
		Format:         jsii.String(accessLogFormat(props.Config.Stage)),
	})
	return api, logs
}

// accessLogFormat returns the format of an access log. It has a request's route,
// but not its path or query, which hold the webhook's secret, OAuth codes and
// receipts, and not the caller's address.
func accessLogFormat(stage config.Stage) string {
	b, err := json.Marshal(map[string]string{
		"stage":              string(stage),
		"request_id":         "$context.requestId",
		"time":               "$context.requestTime",
		"route":              "$context.routeKey",
		"status":             "$context.status",
		"latency_ms":         "$context.responseLatency",
		"response_bytes":     "$context.responseLength",
		"integration_status": "$context.integrationStatus",
		"integration_error":  "$context.integrationErrorMessage",
		"authorizer_error":   "$context.authorizer.error",
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}
