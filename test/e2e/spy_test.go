package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// published lists the events that TestSystem causes.
var published = []event.Fact{
	credentialsv1.AthleteAuthorized{}, credentialsv1.AuthorizationRevoked{}, credentialsv1.ErasureCompleted{},
	credentialsv1.WebhookConfigured{}, // by the second up
	gatheringv1.AthleteGathered{}, gatheringv1.ActivitiesGathered{}, gatheringv1.ActivityGone{},
	gatheringv1.ScanProgressed{}, gatheringv1.DeauthorizationReported{}, gatheringv1.ErasureCompleted{},
	athletev1.ErasureRequested{}, activityv1.ErasureCompleted{},
}

// spyName names the spy's queue and rule.
const spyName = "end-to-end-test-spy"

// spy records every event on the bus in a queue of its own, because consumers
// delete the events from theirs.
type spy struct {
	client *sqs.Client
	queue  string // its URL
	events *eventbridge.Client
	bus    *string
	seen   []string
}

// spy creates the spy's queue and the rule that sends all events to it.
func (c *cloud) spy(t *testing.T) *spy {
	t.Helper()
	stacks, err := cloudformation.NewFromConfig(c.aws(t)).DescribeStacks(t.Context(),
		&cloudformation.DescribeStacksInput{StackName: aws.String("Paceline-local-Platform")})
	if err != nil {
		t.Fatal(err)
	}
	var bus *string
	for _, o := range stacks.Stacks[0].Outputs {
		if aws.ToString(o.OutputKey) == "EventBusName" {
			bus = o.OutputValue
		}
	}
	client := sqs.NewFromConfig(c.aws(t))
	queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(spyName)})
	if err != nil {
		t.Fatal(err)
	}
	attributes, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: queue.QueueUrl, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
	})
	if err != nil {
		t.Fatal(err)
	}
	events := eventbridge.NewFromConfig(c.aws(t))
	if _, err := events.PutRule(t.Context(), &eventbridge.PutRuleInput{
		Name: aws.String(spyName), EventBusName: bus, EventPattern: aws.String(`{"source":[{"prefix":"paceline."}]}`),
	}); err != nil {
		t.Fatal(err)
	}
	put, err := events.PutTargets(t.Context(), &eventbridge.PutTargetsInput{
		Rule: aws.String(spyName), EventBusName: bus,
		Targets: []eventbridgetypes.Target{{Id: aws.String(spyName), Arn: aws.String(attributes.Attributes["QueueArn"])}},
	})
	if err != nil || put.FailedEntryCount != 0 {
		t.Fatalf("put targets: %v, %+v", err, put)
	}
	return &spy{client: client, queue: aws.ToString(queue.QueueUrl), events: events, bus: bus}
}

// busEvent is an event as the bus delivers it.
type busEvent struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
}

// eventsAbout returns the events about an athlete, oldest first.
func (s *spy) eventsAbout(t *testing.T, athlete int64) (events []busEvent) {
	t.Helper()
	for _, body := range s.drain(t) {
		var e busEvent
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if mention(athlete).Match(e.Detail) {
			events = append(events, e)
		}
	}
	return events
}

// replay publishes events again.
func (s *spy) replay(t *testing.T, events []busEvent) {
	t.Helper()
	for _, e := range events {
		put, err := s.events.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []eventbridgetypes.PutEventsRequestEntry{{
			EventBusName: s.bus, Source: aws.String(e.Source), DetailType: aws.String(e.DetailType), Detail: aws.String(string(e.Detail)),
		}}})
		if err != nil || put.FailedEntryCount != 0 {
			t.Fatalf("put events: %v, %+v", err, put)
		}
	}
}

// drain returns all events recorded so far.
func (s *spy) drain(t *testing.T) []string {
	t.Helper()
	for {
		out, err := s.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(s.queue), MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return s.seen
		}
		for _, m := range out.Messages {
			s.seen = append(s.seen, aws.ToString(m.Body))
			if _, err := s.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{
				QueueUrl: aws.String(s.queue), ReceiptHandle: m.ReceiptHandle,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// eventsLeakNothing searches every event.
func eventsLeakNothing(t *testing.T, s *spy, secrets words) {
	seen := map[string]int{}
	for i, body := range s.drain(t) {
		var e busEvent
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		kind := e.Source + " " + e.DetailType
		seen[kind]++
		secrets.search(t, fmt.Sprintf("event %d, %s,", i, kind), []byte(body))
		if e.DetailType == gatheringv1.ActivitiesGatheredType && strings.Contains(body, lastTitle) {
			seen[lastTitle]++
		}
	}
	t.Logf("%v", seen)
	// The searched events include every type, with their content.
	for _, fact := range published {
		if kind := fact.Source() + " " + fact.DetailType(); seen[kind] == 0 {
			t.Errorf("the search proves nothing: there was no %s", kind)
		}
	}
	if seen[lastTitle] == 0 {
		t.Errorf("the search proves nothing: no event contains the activity %q", lastTitle)
	}
}
