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

// announced are the facts that the story makes the boundaries announce.
var announced = []event.Fact{
	credentialsv1.AthleteAuthorized{}, credentialsv1.AuthorizationRevoked{}, credentialsv1.ErasureReceiptIssued{},
	credentialsv1.WebhookConfigured{}, // by coming up again
	gatheringv1.AthleteGathered{}, gatheringv1.ActivitiesGathered{}, gatheringv1.ActivityGone{},
	gatheringv1.ScanProgressed{}, gatheringv1.DeauthorizationReported{}, gatheringv1.ErasureCompleted{},
	athletev1.ErasureRequested{}, athletev1.ErasureCompleted{}, activityv1.ErasureCompleted{},
}

// spyName names the spy's queue and rule.
const spyName = "end-to-end-test-spy"

// spy is a queue that keeps every event of the system's bus: those of the
// system are gone once they are consumed.
type spy struct {
	client *sqs.Client
	queue  string // its URL
	events *eventbridge.Client
	bus    *string
	seen   []string
}

// spy has the bus send everything to a queue of its own from now on.
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
	about, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
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
		Targets: []eventbridgetypes.Target{{Id: aws.String(spyName), Arn: aws.String(about.Attributes["QueueArn"])}},
	})
	if err != nil || put.FailedEntryCount != 0 {
		t.Fatalf("put targets: %v, %+v", err, put)
	}
	return &spy{client: client, queue: aws.ToString(queue.QueueUrl), events: events, bus: bus}
}

// announcement is an event as the bus delivers it.
type announcement struct {
	Source     string          `json:"source"`
	DetailType string          `json:"detail-type"`
	Detail     json.RawMessage `json:"detail"`
}

// about returns all that was announced about an athlete, the first first.
func (s *spy) about(t *testing.T, athlete int64) (about []announcement) {
	t.Helper()
	for _, body := range s.drain(t) {
		var e announcement
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if mention(athlete).Match(e.Detail) {
			about = append(about, e)
		}
	}
	return about
}

// replay announces events again.
func (s *spy) replay(t *testing.T, events []announcement) {
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

// drain returns all that the spy has ever seen.
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

// eventsLeakNothing searches every event there was.
func eventsLeakNothing(t *testing.T, s *spy, secrets words) {
	seen := map[string]int{}
	for i, body := range s.drain(t) {
		var e announcement
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
	// What is searched really is what was announced, and the whole of it.
	for _, fact := range announced {
		if kind := fact.Source() + " " + fact.DetailType(); seen[kind] == 0 {
			t.Errorf("there was no %s: the search proves nothing", kind)
		}
	}
	if seen[lastTitle] == 0 {
		t.Errorf("no event tells of the activity %q: the search proves nothing", lastTitle)
	}
}
