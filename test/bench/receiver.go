package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/gathering/metric"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/sqs"
	"github.com/paceline/paceline/pkg/kit/emf"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/pkg/kit/startup"
)

const (
	webhookRoute = "POST /webhooks/strava/{key}"
	// webhookOwners is the number of athletes whose events arrive in turn, so
	// that no inbox overflows.
	webhookOwners       = 1_000
	webhookKey          = "the-callback-key-of-the-benchmark"
	webhookSubscription = 120475
)

// receiverStore is the storage of the receiver.
type receiverStore interface {
	gathering.Webhooks
	gathering.Inboxes
}

// receiverOverhead compares the webhook's handler, from the payload of the
// invocation to the payload of the response, with a handler that only returns
// 200. The receiver is warm: it has cached the webhook's configuration. Each
// event is a new one of a known athlete, which is the most work: the receiver
// stores it and wakes a gatherer.
//
// The stores are either in memory, which leaves the receiver's own code, or a
// DynamoDB and an SQS on loopback by the real adapters, which adds the SDK. The
// real services add a few milliseconds.
func receiverOverhead(ctx context.Context, r *report) error {
	loopback := newCloud()
	defer loopback.Close()
	config, err := startup.AWS(ctx)
	if err != nil {
		return err
	}
	config.BaseEndpoint, config.Region = aws.String(loopback.URL), "us-east-1"
	config.Credentials = awscredentials.NewStaticCredentialsProvider("bench", "bench", "")

	empty := lambda.NewHandler(api.Mux(slog.New(slog.DiscardHandler), map[string]api.Handler{
		webhookRoute: func(context.Context, api.Request) (api.Response, error) {
			return api.JSON(http.StatusOK, struct{}{}), nil
		},
	}))
	woken := &gatheringtest.Waker{}
	for _, world := range []struct {
		name    string
		store   receiverStore
		wakeups gathering.Waker
		woken   func() int
	}{
		{"in memory", gatheringtest.NewStore(), woken, woken.Count},
		{
			"DynamoDB and SQS on loopback", ddb.New(dynamodb.NewFromConfig(config), "gathering"),
			sqs.New(awssqs.NewFromConfig(config), loopback.URL+"/wake"), loopback.sqsMessages,
		},
	} {
		receiver, err := newReceiver(ctx, world.store, world.wakeups)
		if err != nil {
			return err
		}
		const rounds, warmUp = 3_000, 100
		sent := 0
		before, requests := world.woken(), loopback.dynamoDBRequests()
		res, err := r.compare(ctx, comparison{
			name: "receiver stores an event, " + world.name,
			ours: func(ctx context.Context) (float64, error) {
				payload, err := eventPayload(sent)
				if err != nil {
					return 0, err
				}
				sent++
				return timed(func(ctx context.Context) error { return answered(receiver.Invoke(ctx, payload)) })(ctx)
			},
			baseline: "empty handler",
			base: func(ctx context.Context) (float64, error) {
				payload, err := eventPayload(sent)
				if err != nil {
					return 0, err
				}
				return timed(func(ctx context.Context) error { return answered(empty.Invoke(ctx, payload)) })(ctx)
			},
			unit: "ns", rounds: rounds, warmUp: warmUp,
		})
		if err != nil {
			return err
		}
		if n := world.woken() - before; n != sent {
			return fmt.Errorf("%s: %d of %d events were delivered", res.Name, n, sent)
		}
		each := float64(loopback.dynamoDBRequests()-requests) / (rounds + warmUp)
		res.DynamoDBRequests = &each
	}
	return nil
}

// newReceiver returns the handler of functions/gathering/receive-webhook, over
// a store that accepts the events of [eventPayload].
func newReceiver(ctx context.Context, store receiverStore, wakeups gathering.Waker) (lambda.Handler, error) {
	_, err := store.UpdateWebhook(ctx, func(w *gathering.Webhook) (bool, error) {
		w.CallbackKeySHA256, w.SubscriptionID, w.Version = secret.New(webhookKey).SHA256(), webhookSubscription, 1
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	for owner := range int64(webhookOwners) {
		_, err := store.UpdateInbox(ctx, owner+1, func(m *gathering.Inbox) (bool, error) {
			m.Generation = 1
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	metrics := emf.New(io.Discard, time.Now, metric.Namespace, "bench")
	ports := gatheringtest.NewMemory().Ports(time.Now)
	ports.Webhooks, ports.Inboxes, ports.Waker, ports.Metrics = store, store, wakeups, metrics
	return lambda.NewHandler(emf.Flushing(metrics, api.Mux(ports.Log, handler.WebhookRoutes(ports.Receiver())))), nil
}

// eventPayload returns API Gateway's invocation for the nth event.
func eventPayload(n int) ([]byte, error) {
	body, err := json.Marshal(gathering.WebhookEvent{
		ObjectType: "activity", ObjectID: int64(10_000_000_000 + n), AspectType: gathering.AspectUpdate, OwnerID: int64(n%webhookOwners + 1),
		SubscriptionID: webhookSubscription, EventTime: 1_795_000_000 + int64(n), Updates: map[string]any{"title": "Evening Ride"},
	})
	if err != nil {
		return nil, err
	}
	path := "/webhooks/strava/" + webhookKey
	return json.Marshal(api.Request{
		Version: "2.0", RouteKey: webhookRoute, RawPath: path, PathParameters: map[string]string{"key": webhookKey},
		Headers: map[string]string{
			"accept": "*/*", "accept-encoding": "gzip, deflate", "content-length": fmt.Sprint(len(body)), "content-type": "application/json",
			"host": "api.example.com", "user-agent": "strava_webhooks/1.0", "x-forwarded-for": "192.0.2.1",
			"x-forwarded-port": "443", "x-forwarded-proto": "https",
		},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: webhookRoute, AccountID: "123456789012", Stage: "$default", RequestID: "JKJaXmPLvHcESHA=", APIID: "r3pmxmplak",
			DomainName: "api.example.com", DomainPrefix: "api", Time: "22/Nov/2026:10:00:00 +0000", TimeEpoch: 1_795_000_000_000,
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: http.MethodPost, Path: path, Protocol: "HTTP/1.1", SourceIP: "192.0.2.1", UserAgent: "strava_webhooks/1.0",
			},
		},
		Body: string(body),
	})
}

// answered checks the response of a handler of the HTTP API.
func answered(payload []byte, err error) error {
	if err == nil && !strings.HasPrefix(string(payload[:min(len(payload), 32)]), `{"statusCode":200,`) {
		err = fmt.Errorf("the handler returned %.100s", payload)
	}
	return err
}
