package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/paceline/paceline/standin/strava"
)

// erasedWithin is how long the erasure of a long history may take.
const erasedWithin = 5 * time.Minute

// number is what the environment sets, to try more than a run of all tests has
// time for.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it must be a number", name, text)
	}
	return n
}

// erasure is a receipt as its link shows it.
type erasure struct {
	Receipt      string     `json:"receipt"`
	State        string     `json:"state"`
	RequestedAt  *time.Time `json:"requested_at"`
	CompletedAt  *time.Time `json:"completed_at"`
	CopiesGoneBy *time.Time `json:"copies_gone_by"`
	Erased       []struct {
		What string
		At   time.Time
	}
}

// leave asks for the erasure and waits for the receipt. Then nothing is held,
// the session is over, and Strava no longer counts the athlete as connected.
func (b *browser) leave(athlete int64, within time.Duration) { b.leaveWith(athlete, within, 4) }

// leaveWith is leave with a receipt that has so many parts: one more for each
// linked account.
func (b *browser) leaveWith(athlete int64, within time.Duration, parts int) {
	b.t.Helper()
	began := time.Now()
	var left struct {
		Receipt   string `json:"receipt"`
		StatusURL string `json:"status_url"`
	}
	key := b.newKey("Leaves, too").Secret
	a := b.do("DELETE", "/v1/me")
	if err := json.Unmarshal(a.body, &left); a.status != http.StatusAccepted || err != nil || left.StatusURL != "/v1/erasures/"+left.Receipt {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	var status erasure
	anybody := b.cloud.browser(b.t) // The session is over by then.
	eventually(b.t, within, "the receipt", func() bool {
		anybody.get(left.StatusURL, &status)
		return status.State == "erased"
	})
	b.t.Logf("erased within %s", time.Since(began).Round(time.Millisecond))
	if len(status.Erased) != parts {
		b.t.Errorf("erased by parts: %v", status.Erased)
	}
	if status.CompletedAt == nil || status.CopiesGoneBy == nil || !status.CopiesGoneBy.Equal(status.CompletedAt.Add(7*24*time.Hour)) || status.Receipt != left.Receipt {
		b.t.Errorf("receipt %+v", status)
	}
	if held := b.cloud.held(b.t, athlete); len(held) != 0 {
		b.t.Errorf("still held: %v", held)
	}
	if b.do("GET", "/v1/me").status != http.StatusUnauthorized {
		b.t.Error("the session outlives the athlete")
	}
	if a := b.cloud.byKey(b.t, "GET", "/v1/me", key); a.status != http.StatusUnauthorized {
		b.t.Errorf("the key outlives the athlete: %d %s", a.status, a.body)
	}
	ended := b.cloud.byKey(b.t, "POST", "/v1/me/sync", key)
	if ended.status != http.StatusUnauthorized || !strings.Contains(string(ended.body), "#revoked-key") || !strings.Contains(string(ended.body), left.StatusURL) {
		b.t.Errorf("the key does not lead to the erasure: %d %s", ended.status, ended.body)
	}
	for _, s := range b.cloud.athletes(b.t) {
		if s.ID == athlete && s.Connected {
			b.t.Error("Strava still counts the athlete as connected")
		}
	}
}

// lengthen gives an athlete who is not connected a history of at least n
// activities, an hour apart.
func (c *cloud) lengthen(t *testing.T, athlete int64, n int) {
	t.Helper()
	missing := n - len(c.truth(t, athlete))
	newest := time.Now().Add(-24 * time.Hour)
	const writers = 8
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < missing && !t.Failed(); i += writers {
				c.addActivity(t, athlete, strava.NewActivity{Name: fmt.Sprint("Outing ", i), Start: newest.Add(-time.Duration(i) * time.Hour)})
			}
		})
	}
	wg.Wait()
}

// longHistory gathers a long history and has its athlete leave, who keeps it at
// Strava.
func longHistory(t *testing.T, c *cloud, b *browser, athlete int64) {
	b.leave(athlete, 2*soon) // So that what is made comes as a history, not as webhooks.
	began := time.Now()
	c.lengthen(t, athlete, number(t, "PACELINE_E2E_HISTORY", 2000))
	t.Logf("made within %s", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting leads to %q", got)
	}
	want := len(c.truth(t, athlete))
	if got := b.current(20 * time.Minute).Gathered; got != want {
		t.Errorf("%d gathered of %d", got, want)
	}
	t.Logf("%d activities gathered within %s", want, time.Since(began).Round(time.Millisecond))
	heldEverywhere(t, c, athlete)
	b.leave(athlete, erasedWithin)
}

// hints are the webhooks about the athlete that wait to be followed.
func (c *cloud) hints(t *testing.T, athlete int64) (n int) {
	t.Helper()
	c.scan(t, func(_ string, item map[string]types.AttributeValue) {
		var inbox struct {
			AthleteID int64            `dynamodbav:"athlete_id"`
			Hints     []map[string]any `dynamodbav:"hints"`
		}
		if _, is := item["hints"].(*types.AttributeValueMemberL); !is {
			return
		}
		if err := attributevalue.UnmarshalMap(item, &inbox); err != nil {
			t.Fatal(err)
		}
		if inbox.AthleteID == athlete {
			n += len(inbox.Hints)
		}
	})
	return n
}

// scan visits every item of every table.
func (c *cloud) scan(t *testing.T, visit func(table string, item map[string]types.AttributeValue)) {
	t.Helper()
	client := dynamodb.NewFromConfig(c.aws(t))
	for _, table := range c.tables(t) {
		pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, item := range page.Items {
				visit(table, item)
			}
		}
	}
}

// settled waits until every queue is empty and nothing taken from one is still
// at work.
func (c *cloud) settled(t *testing.T, within time.Duration) {
	t.Helper()
	client := sqs.NewFromConfig(c.aws(t))
	queues, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, within, "the queues to be empty", func() bool {
		for _, url := range queues.QueueUrls {
			if strings.HasSuffix(url, "/"+spyName) {
				continue // It is the test's own.
			}
			out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
				QueueUrl: aws.String(url), AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
			})
			if err != nil {
				t.Fatal(err)
			}
			if out.Attributes["ApproximateNumberOfMessages"] != "0" || out.Attributes["ApproximateNumberOfMessagesNotVisible"] != "0" {
				return false
			}
		}
		return true
	})
}

// download pages through the export over and over, until it gets anything but
// a page, and tells how many pages there were and how it ended.
func (b *browser) download(page func()) (pages int, end answer) {
	for href := "/v1/me/activities?limit=200"; ; pages++ {
		a := b.do("GET", href)
		if a.status != http.StatusOK {
			return pages, a
		}
		var next struct {
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal(a.body, &next); err != nil {
			b.t.Errorf("%s: %v", href, err)
			return pages, a
		}
		href = "/v1/me/activities?limit=200"
		if next.NextCursor != nil {
			href += "&cursor=" + url.QueryEscape(*next.NextCursor)
		}
		page()
	}
}

// amidWork has an athlete leave while the history is being gathered, webhooks
// wait, and an export is being read. Nothing comes back, not even when every
// event and every webhook about the athlete comes again.
func amidWork(t *testing.T, c *cloud, s *spy, b *browser, athlete int64) {
	const webhooks = 50
	// Every call to Strava takes long now.
	c.control(t, "POST", "/faults", map[string]any{"endpoint": "api", "athlete": athlete, "delay": "1s", "count": -1}, nil)
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "hold"}, nil)
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting leads to %q", got)
	}
	// The oldest, so that no list of the newest tells what became of them.
	truth := c.truth(t, athlete)
	edited := truth[len(truth)-webhooks:]
	for _, a := range edited {
		c.editActivity(t, athlete, a.ID, map[string]string{"name": "Renamed while leaving"})
	}
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "send"}, nil)
	c.control(t, "POST", "/release", map[string]any{"order": "shuffle"}, nil)
	var notices []strava.Delivery
	eventually(t, 30*time.Second, "the webhooks to be taken", func() bool {
		c.control(t, "GET", "/deliveries", nil, &notices)
		notices = slices.DeleteFunc(notices, func(d strava.Delivery) bool {
			var e strava.Event
			return json.Unmarshal(d.Event, &e) != nil || e.OwnerID != athlete || e.AspectType != "update" ||
				!slices.ContainsFunc(edited, func(a strava.Activity) bool { return a.ID == e.ObjectID })
		})
		return len(notices) == webhooks && !slices.ContainsFunc(notices, func(d strava.Delivery) bool { return d.State != "delivered" })
	})
	var reading sync.WaitGroup
	read := make(chan struct{})
	var once sync.Once
	reader := c.browser(t)
	reader.client.Jar = b.client.Jar
	reading.Go(func() {
		pages, end := reader.download(func() { once.Do(func() { close(read) }) })
		once.Do(func() { close(read) })
		if pages == 0 || end.status != http.StatusUnauthorized {
			t.Errorf("the export ended after %d pages with %d: %s", pages, end.status, end.body)
		}
		t.Logf("the export ended after %d pages", pages)
	})
	<-read
	var status syncStatus
	b.get("/v1/me/sync", &status)
	waiting := c.hints(t, athlete)
	t.Logf("%s, %d of %d gathered, %d webhooks wait", status.State, status.Gathered, len(truth), waiting)
	if status.State == "current" || status.Gathered >= len(truth) || waiting < webhooks/2 {
		t.Error("there is nothing to leave amid of: this proves nothing")
	}
	b.leave(athlete, erasedWithin)
	reading.Wait()
	c.control(t, "DELETE", "/faults", nil, nil)

	gone := func(after string) {
		t.Helper()
		c.settled(t, time.Minute)
		if held := c.held(t, athlete); len(held) != 0 {
			t.Fatalf("held after %s: %v", after, held)
		}
		if a := b.do("GET", "/v1/me/activities"); a.status != http.StatusUnauthorized {
			t.Errorf("after %s: %d", after, a.status)
		}
	}
	gone("leaving")
	events := s.about(t, athlete)
	calls := c.calls(t, athlete)
	s.replay(t, events)
	gone("every event came again")
	slices.Reverse(events)
	s.replay(t, events)
	gone("every event came again, the last first")
	for _, d := range notices {
		var event map[string]any
		if err := json.Unmarshal(d.Event, &event); err != nil {
			t.Fatal(err)
		}
		c.deliver(t, event)
	}
	gone("every webhook came again")
	t.Logf("%d events came again twice", len(events))
	if n := c.calls(t, athlete) - calls; n != 0 {
		t.Errorf("Strava was asked %d times about who is gone", n)
	}
}

// calls are all that were made to Strava about an athlete.
func (c *cloud) calls(t *testing.T, athlete int64) (n int) {
	t.Helper()
	for _, endpoint := range []string{strava.EndpointRefresh, strava.EndpointAthlete, strava.EndpointActivities, strava.EndpointActivity} {
		n += c.counters(t).Total(endpoint, athlete)
	}
	return n
}

// mention is a pattern of the athlete's id wherever it is written out.
func mention(athlete int64) *regexp.Regexp {
	return regexp.MustCompile(fmt.Sprintf(`(^|[^0-9])%d([^0-9]|$)`, athlete))
}
