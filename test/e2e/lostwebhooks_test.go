package e2e_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/standin/strava"
)

// prober invokes the deployed probe without waiting for its schedule.
type prober struct {
	*cloud
	lambda          *lambda.Client
	probe, receiver string // functions
	table           string
}

func (c *cloud) prober(t *testing.T) *prober {
	t.Helper()
	return &prober{
		cloud: c, lambda: lambda.NewFromConfig(c.aws(t)),
		probe:    c.resource(t, "Gathering", "AWS::Lambda::Function", "probewebhook"),
		receiver: c.resource(t, "Gathering", "AWS::Lambda::Function", "receivewebhook"),
		table:    c.resource(t, "Gathering", "AWS::DynamoDB", "table"),
	}
}

// run invokes the probe, including its check at Strava, and returns the metrics
// that it reported.
func (p *prober) run(t *testing.T) (metrics map[string]float64, failed bool) {
	t.Helper()
	out, err := p.lambda.Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(p.probe), Payload: []byte(`{"ask_strava":true}`), LogType: lambdatypes.LogTypeTail,
	})
	if err != nil {
		t.Fatal(err)
	}
	log, err := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if err != nil {
		t.Fatal(err)
	}
	metrics = map[string]float64{}
	for line := range strings.Lines(string(log)) {
		start := strings.Index(line, "{")
		var members map[string]any
		if start < 0 || json.Unmarshal([]byte(line[start:]), &members) != nil || members["_aws"] == nil {
			continue
		}
		for name, value := range members {
			if n, ok := value.(float64); ok {
				metrics[name] = n
			}
		}
	}
	return metrics, out.FunctionError != nil
}

// webhookStatus is the webhook's part of `paceline admin status`.
type webhookStatus struct {
	SubscriptionID int64 `json:"subscription_id"`
	Callback       struct {
		HealthyAt    time.Time  `json:"healthy_at"`
		FailingSince *time.Time `json:"failing_since"`
		Failure      string     `json:"failure"`
	} `json:"callback"`
	Subscription struct {
		FailingSince *time.Time `json:"failing_since"`
		Failure      string     `json:"failure"`
	} `json:"subscription"`
	Gap *struct {
		From, To time.Time
		Planned  bool
	} `json:"gap"`
}

func (p *prober) status(t *testing.T) webhookStatus {
	t.Helper()
	var status struct {
		Gathering struct {
			Webhook webhookStatus `json:"webhook"`
		} `json:"gathering"`
	}
	p.admin(t, &status, "status")
	return status.Gathering.Webhook
}

// useTable configures functions to use another table. This restarts them.
func (p *prober) useTable(t *testing.T, table string, functions ...string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	for _, f := range functions {
		current, err := p.lambda.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(f)})
		if err != nil {
			t.Fatal(err)
		}
		variables := current.Environment.Variables
		variables["GATHERING_TABLE"] = table
		if _, err := p.lambda.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{
			FunctionName: aws.String(f), Environment: &lambdatypes.Environment{Variables: variables},
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// ageLastProbe makes the last successful probe older by a duration and returns
// its new time.
func (p *prober) ageLastProbe(t *testing.T, by time.Duration) time.Time {
	t.Helper()
	well := p.status(t).Callback.HealthyAt.Add(-by)
	_, err := dynamodb.NewFromConfig(p.aws(t)).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(p.table),
		Key: map[string]types.AttributeValue{
			"pk": dynamo.Text("webhook"), "sk": dynamo.Text("webhook"),
		},
		// The new revision makes a concurrent probe start over.
		UpdateExpression: aws.String("SET callback.healthy_at = :at, revision = :revision"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":at": dynamo.Number(well.UnixMilli()), ":revision": dynamo.Text(dynamo.NewRevision().Revision),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return well
}

func webhookGapIsRepaired(t *testing.T, p *prober, b *browser, athlete int64) {
	if metrics, failed := p.run(t); failed || metrics["WebhookUnhealthySeconds"] > 60 {
		t.Fatalf("before: failed %t, %v", failed, metrics)
	}
	if s := p.status(t); s.Callback.FailingSince != nil || s.Gap != nil && !s.Gap.Planned {
		t.Fatalf("before: %+v", s)
	}
	// DynamoDB refuses every call for a missing table. Only the receiver has it; the
	// probe detects the failure by the handshake.
	t.Cleanup(func() { p.useTable(t, p.table, p.receiver, p.probe) })
	p.useTable(t, "no-such-table", p.receiver)
	if _, failed := p.run(t); failed {
		t.Error("the probe fails although only the receiver has no storage")
	}
	if s := p.status(t); s.Callback.FailingSince == nil || !strings.Contains(s.Callback.Failure, "status 5") {
		t.Errorf("while the receiver has no storage: %+v", s.Callback)
	}
	// Strava gives up on an event within the 5 seconds below.
	p.control(t, "PATCH", "/settings", map[string]any{"retry_interval": "100ms"}, nil)
	activity := p.stravaActivities(t, athlete)[0].ID
	p.editActivity(t, athlete, activity, map[string]string{"name": "Changed without a webhook"})
	never(t, 5*time.Second, "the event arriving without storage", func() bool {
		var it item
		b.get(activityPath(activity), &it)
		return it.Name == "Changed without a webhook"
	})
	// Without storage the probe fails, too.
	p.useTable(t, "no-such-table", p.probe)
	if _, failed := p.run(t); !failed {
		t.Error("the probe does not fail although it has no storage")
	}
	well := p.ageLastProbe(t, 6*time.Minute)
	p.useTable(t, p.table, p.receiver, p.probe)
	if _, failed := p.run(t); failed {
		t.Fatal("the probe fails although storage is back")
	}
	s := p.status(t)
	if s.Gap == nil || s.Gap.From.Sub(well).Abs() > time.Millisecond || s.Callback.FailingSince != nil {
		t.Fatalf("with storage again, want a gap from %s: %+v", well, s)
	}
	p.runGatherer(t)
	eventually(t, time.Minute, "the change without a webhook", func() bool {
		var it item
		b.get(activityPath(activity), &it)
		return it.Name == "Changed without a webhook"
	})
	if s := p.status(t); s.Gap == nil || !s.Gap.Planned {
		t.Errorf("the gap is not marked as repaired: %+v", s.Gap)
	}
}

func lostSubscriptionIsReplaced(t *testing.T, p *prober) {
	if metrics, failed := p.run(t); failed || metrics["SubscriptionLost"] != 0 {
		t.Fatalf("before: failed %t, %v", failed, metrics)
	}
	p.unsubscribe(t)
	metrics, failed := p.run(t)
	if failed || metrics["SubscriptionLost"] != 1 {
		t.Errorf("after the deletion: failed %t, %v", failed, metrics)
	}
	if s := p.status(t); s.Subscription.Failure != "missing" || s.Subscription.FailingSince == nil {
		t.Errorf("after the deletion: %+v", s.Subscription)
	}
	const advice = "the push subscription is missing at Strava; run `paceline admin subscription ensure`"
	if text := p.adminText(t, "status"); !strings.Contains(text, advice) {
		t.Errorf("the status lacks the advice:\n%s", text)
	}

	before := p.status(t)
	p.admin(t, nil, "subscription", "ensure")
	eventually(t, soon, "gathering to know the new subscription", func() bool {
		return p.status(t).SubscriptionID != before.SubscriptionID
	})
	metrics, failed = p.run(t)
	if failed || metrics["SubscriptionLost"] != 0 {
		t.Errorf("after ensure: failed %t, %v", failed, metrics)
	}
	s := p.status(t)
	if s.Subscription.FailingSince != nil || s.Gap == nil || before.Gap != nil && !s.Gap.To.After(before.Gap.To) {
		t.Errorf("after ensure: %+v", s)
	}
	if text := p.adminText(t, "status"); strings.Contains(text, advice) {
		t.Errorf("the status still has the advice:\n%s", text)
	}
}

// adminText runs an admin command and returns its text output.
func (c *cloud) adminText(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("dist/paceline", append([]string{"admin", "--dir", c.dir}, args...)...)
	cmd.Dir = c.root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("paceline admin %v: %v", args, err)
	}
	return string(out)
}

// unsubscribe deletes the subscription at Strava with the client secret.
func (c *cloud) unsubscribe(t *testing.T) {
	t.Helper()
	var secrets strava.Secrets
	c.control(t, "GET", "/secrets", nil, &secrets)
	basic, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secrets.BasicAuth, "Basic "))
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(string(basic), ":")
	var status struct {
		Subscription strava.Subscription `json:"subscription"`
	}
	c.control(t, "GET", "/status", nil, &status)
	query := url.Values{"client_id": {id}, "client_secret": {secrets.ClientSecret}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete,
		fmt.Sprintf("%s/%d?%s", c.outputs.Strava["push"], status.Subscription.ID, query.Encode()), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusNoContent {
		t.Fatalf("deleting the subscription: status %d", res.StatusCode)
	}
}
