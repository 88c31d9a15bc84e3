package requester

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/invoke"
	"github.com/paceline/paceline/pkg/kit/startup"
)

const (
	// forwardTimeout is how long a call waits for the requester: it may run for
	// 45 s, and a gatherer starts no job in its last minute.
	forwardTimeout = 50 * time.Second
	// checkTimeout is how long a probe waits for check-subscription, which may run
	// for 30 s.
	checkTimeout = 35 * time.Second
)

// Strava returns Strava behind the requester, the function with this ARN.
func Strava(cfg aws.Config, arn string) gathering.Strava {
	client := lambda.NewFromConfig(startup.WithLimits(cfg, startup.Waiting(forwardTimeout)))
	return strava.New(forward(client, arn), time.Now)
}

// forward invokes the requester. The correlation id of a call is the id of the
// caller's own invocation, which its log lines hold as requestId.
func forward(client *lambda.Client, arn string) strava.Forward {
	invokeRequester := invoke.Function[credentialsv1.ForwardRequest, credentialsv1.ForwardResponse](client, arn, "the requester")
	return func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		if invocation, ok := lambdacontext.FromContext(ctx); ok {
			req.CorrelationID = invocation.AwsRequestID
		}
		return invokeRequester(ctx, req)
	}
}

// CheckSubscription returns check-subscription, the function with this ARN.
func CheckSubscription(cfg aws.Config, arn string) gathering.CheckSubscription {
	client := lambda.NewFromConfig(startup.WithLimits(cfg, startup.Waiting(checkTimeout)))
	return invoke.Function[credentialsv1.CheckSubscriptionRequest, credentialsv1.CheckSubscriptionResponse](client, arn, "check-subscription")
}
