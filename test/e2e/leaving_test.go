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

// erasedWithin is the time within which a long history must be erased.
const erasedWithin = 5 * time.Minute

// envNumber returns a number from the environment, for tests that are larger than
// the default.
func envNumber(t *testing.T, name string, fallback int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it must be a number", name, text)
	}
	return n
}

// erasure is the state of an erasure as the API returns it.
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

// leave requests the erasure and waits until it is complete. Then it checks that
// no data is stored, that the session and the keys have ended, and that Strava no
// longer counts the athlete as connected.
func (b *browser) leave(athlete int64, within time.Duration) { b.leaveWith(athlete, within, 4) }

// leaveWith is like leave, for a receipt with this number of parts: four, and one
// more for each linked account.
func (b *browser) leaveWith(athlete int64, within time.Duration, parts int) {
	b.t.Helper()
	began := time.Now()
	var left struct {
		Receipt   string `json:"receipt"`
		StatusURL string `json:"status_url"`
	}
	key := b.newKey("Ends with leaving").Secret
	a := b.do("DELETE", "/v1/me")
	if err := json.Unmarshal(a.body, &left); a.status != http.StatusAccepted || err != nil || left.StatusURL != "/v1/erasures/"+left.Receipt {
		b.t.Fatalf("%d %s", a.status, a.body)
	}
	var status erasure
	// Looking up a receipt needs no session.
	stranger := b.cloud.browser(b.t)
	eventually(b.t, within, "the receipt", func() bool {
		stranger.get(left.StatusURL, &status)
		return status.State == "erased"
	})
	b.t.Logf("erased within %s", time.Since(began).Round(time.Millisecond))
	if len(status.Erased) != parts {
		b.t.Errorf("erased parts: %v", status.Erased)
	}
	if status.CompletedAt == nil || status.CopiesGoneBy == nil || !status.CopiesGoneBy.Equal(status.CompletedAt.Add(7*24*time.Hour)) || status.Receipt != left.Receipt {
		b.t.Errorf("receipt %+v", status)
	}
	if found := b.cloud.stored(b.t, athlete); len(found) != 0 {
		b.t.Errorf("still stored: %v", found)
	}
	if b.do("GET", "/v1/me").status != http.StatusUnauthorized {
		b.t.Error("the session is still valid")
	}
	if a := b.cloud.requestByKey(b.t, "GET", "/v1/me", key); a.status != http.StatusUnauthorized {
		b.t.Errorf("the key is still valid: %d %s", a.status, a.body)
	}
	ended := b.cloud.requestByKey(b.t, "POST", "/v1/me/sync", key)
	if ended.status != http.StatusUnauthorized || !strings.Contains(string(ended.body), "#revoked-key") || !strings.Contains(string(ended.body), left.StatusURL) {
		b.t.Errorf("the response to the key does not contain the erasure: %d %s", ended.status, ended.body)
	}
	for _, s := range b.cloud.athletes(b.t) {
		if s.ID == athlete && s.Connected {
			b.t.Error("Strava still counts the athlete as connected")
		}
	}
}

// addHistory gives an athlete who is not connected a history of at least n
// activities, one hour apart.
func (c *cloud) addHistory(t *testing.T, athlete int64, n int) {
	t.Helper()
	missing := n - len(c.stravaActivities(t, athlete))
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

// leavingErasesLongHistory gathers a long history and then lets its athlete leave.
func leavingErasesLongHistory(t *testing.T, c *cloud, b *browser, athlete int64) {
	b.leave(athlete, 2*soon) // Without a connection, new activities cause no webhooks.
	began := time.Now()
	c.addHistory(t, athlete, envNumber(t, "PACELINE_E2E_HISTORY", 2000))
	t.Logf("created within %s", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	want := len(c.stravaActivities(t, athlete))
	if got := b.current(20 * time.Minute).Gathered; got != want {
		t.Errorf("%d gathered of %d", got, want)
	}
	t.Logf("%d activities gathered within %s", want, time.Since(began).Round(time.Millisecond))
	mustBeStoredEverywhere(t, c, athlete)
	b.leave(athlete, erasedWithin)
}

// countHints returns the number of hints in the athlete's inbox.
func (c *cloud) countHints(t *testing.T, athlete int64) (n int) {
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

// waitForQueues waits until every queue is empty and no message is in flight.
func (c *cloud) waitForQueues(t *testing.T, within time.Duration) {
	t.Helper()
	client := sqs.NewFromConfig(c.aws(t))
	queues, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, within, "the queues to be empty", func() bool {
		for _, url := range queues.QueueUrls {
			if strings.HasSuffix(url, "/"+spyName) {
				continue // The test's own queue.
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

// download reads the pages of activities repeatedly until a request fails. It
// returns the number of pages and the last response.
func (b *browser) download(onPage func()) (pages int, end response) {
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
		onPage()
	}
}

// leavingDuringWork lets an athlete leave during gathering, with queued webhooks
// and a download in progress. No data reappears, not even after every event and
// webhook about the athlete is delivered again.
func leavingDuringWork(t *testing.T, c *cloud, s *spy, b *browser, athlete int64) {
	const webhooks = 50
	// Slow down every call to Strava.
	c.control(t, "POST", "/faults", map[string]any{"endpoint": "api", "athlete": athlete, "delay": "1s", "count": -1}, nil)
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "hold"}, nil)
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	atStrava := c.stravaActivities(t, athlete)
	// A list of the newest activities does not contain the oldest ones.
	deliveries := c.editAndDeliver(t, athlete, atStrava[len(atStrava)-webhooks:])
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
	var status syncState
	b.get("/v1/me/sync", &status)
	queued := c.countHints(t, athlete)
	t.Logf("%s, %d of %d gathered, %d webhooks queued", status.State, status.Gathered, len(atStrava), queued)
	if status.State == "current" || status.Gathered >= len(atStrava) || queued < webhooks/2 {
		t.Error("the test proves nothing: gathering is complete or no webhook is queued")
	}
	b.leave(athlete, erasedWithin)
	reading.Wait()
	c.control(t, "DELETE", "/faults", nil, nil)

	mustBeErased := func(after string) {
		t.Helper()
		c.waitForQueues(t, time.Minute)
		if found := c.stored(t, athlete); len(found) != 0 {
			t.Fatalf("stored after %s: %v", after, found)
		}
		if a := b.do("GET", "/v1/me/activities"); a.status != http.StatusUnauthorized {
			t.Errorf("after %s: %d", after, a.status)
		}
	}
	mustBeErased("leaving")
	events := s.eventsAbout(t, athlete)
	calls := c.countCalls(t, athlete)
	s.replay(t, events)
	mustBeErased("all events again")
	slices.Reverse(events)
	s.replay(t, events)
	mustBeErased("all events again in reverse order")
	for _, d := range deliveries {
		var event map[string]any
		if err := json.Unmarshal(d.Event, &event); err != nil {
			t.Fatal(err)
		}
		c.deliver(t, event)
	}
	mustBeErased("all webhooks again")
	t.Logf("%d events published twice more", len(events))
	if n := c.countCalls(t, athlete) - calls; n != 0 {
		t.Errorf("%d calls to Strava for an athlete who left", n)
	}
}

// editAndDeliver renames activities, releases the webhooks that are held back, and
// waits until the callback has accepted them.
func (c *cloud) editAndDeliver(t *testing.T, athlete int64, activities []strava.Activity) (deliveries []strava.Delivery) {
	t.Helper()
	for _, a := range activities {
		c.editActivity(t, athlete, a.ID, map[string]string{"name": "Renamed while leaving"})
	}
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "send"}, nil)
	c.control(t, "POST", "/release", map[string]any{"order": "shuffle"}, nil)
	eventually(t, 30*time.Second, "the webhooks to be accepted", func() bool {
		deliveries = nil
		c.control(t, "GET", "/deliveries", nil, &deliveries)
		deliveries = slices.DeleteFunc(deliveries, func(d strava.Delivery) bool {
			var e strava.Event
			return json.Unmarshal(d.Event, &e) != nil || e.OwnerID != athlete || e.AspectType != "update" ||
				!slices.ContainsFunc(activities, func(a strava.Activity) bool { return a.ID == e.ObjectID })
		})
		return len(deliveries) == len(activities) && !slices.ContainsFunc(deliveries, func(d strava.Delivery) bool { return d.State != "delivered" })
	})
	return deliveries
}

// countCalls returns the number of calls to Strava for an athlete.
func (c *cloud) countCalls(t *testing.T, athlete int64) (n int) {
	t.Helper()
	for _, endpoint := range []string{strava.EndpointRefresh, strava.EndpointAthlete, strava.EndpointActivities, strava.EndpointActivity} {
		n += c.counters(t).Total(endpoint, athlete)
	}
	return n
}

// mention returns a pattern that matches the athlete's id.
func mention(athlete int64) *regexp.Regexp {
	return regexp.MustCompile(fmt.Sprintf(`(^|[^0-9])%d([^0-9]|$)`, athlete))
}
