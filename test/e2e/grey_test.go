package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/standin/strava"
)

// TestGreyFailures makes Strava fail for one athlete or one page while it serves
// others, and then loses webhooks. The tests of pkg/gathering cover every kind of
// failure in virtual time; this test covers the deployed parts together.
func TestGreyFailures(t *testing.T) {
	t.Parallel()
	c := start(t, "grey")
	// This test is not about the rate limits.
	c.control(t, "PATCH", "/settings", map[string]any{"read_limit": []int{10_000, 100_000}, "overall_limit": []int{20_000, 200_000}}, nil)
	athletes := c.athletes(t)
	if len(athletes) < 10 {
		t.Fatalf("the stand-in has %d athletes", len(athletes))
	}
	next := func() int64 {
		id := athletes[0].ID
		athletes = athletes[1:]
		return id
	}
	emptyOnce, emptyThrice, repeated, deleter := next(), next(), next(), next()
	uploader, single, other := next(), next(), next()
	failing, newcomer := next(), next()

	for _, athlete := range []int64{emptyOnce, emptyThrice, repeated, deleter} {
		c.addHistory(t, athlete, 450) // Three pages.
	}
	browsers := c.connectAll(t, emptyOnce, emptyThrice, repeated, deleter, uploader, single, other)
	c.deleteWithoutWebhooks(t, deleter, 400)

	// These scenarios mostly wait, and each has its own athletes.
	t.Run("in parallel", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T){
			"a failing athlete does not delay a newcomer": func(t *testing.T) { failingAthlete(t, c, failing, newcomer) },
			"a page that is empty once loses no activity": func(t *testing.T) {
				wrongPage(t, c, browsers[emptyOnce], emptyOnce, strava.Fault{Kind: strava.Fault200EmptyList, Count: 1}, false)
			},
			"a page that is empty three times causes a second scan and loses no activity": func(t *testing.T) {
				// Gathering reads the last page twice more before it accepts the end.
				wrongPage(t, c, browsers[emptyThrice], emptyThrice, strava.Fault{Kind: strava.Fault200EmptyList, Count: 3}, true)
			},
			"a page that repeats the previous one loses no activity": func(t *testing.T) {
				wrongPage(t, c, browsers[repeated], repeated, strava.Fault{Kind: strava.FaultRepeatedPage, Count: 1}, false)
			},
			"the deletion of most of a history is confirmed and applied": func(t *testing.T) { massDeletion(t, c, browsers[deleter], deleter) },
			"a burst of uploads needs few calls":                         func(t *testing.T) { burst(t, c, browsers[uploader], uploader) },
			"a single upload appears within seconds":                     func(t *testing.T) { singleUploads(t, c, browsers, single, other) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(t)
			})
		}
	})
	p := c.prober(t)
	t.Run("a gap while the webhook has no storage is repaired", func(t *testing.T) { webhookGapIsRepaired(t, p, browsers[uploader].in(t), uploader) })
	t.Run("a subscription deleted at Strava is detected and replaced", func(t *testing.T) { lostSubscriptionIsReplaced(t, p) })
	t.Run("the dead-letter queues are empty", func(t *testing.T) { deadLettersAreEmpty(t, c) })
}

// connectAll connects athletes and waits until all their data is gathered.
func (c *cloud) connectAll(t *testing.T, athletes ...int64) map[int64]*browser {
	t.Helper()
	browsers := map[int64]*browser{}
	for _, athlete := range athletes {
		b := c.browser(t)
		if got := b.connect(athlete, ""); got != "/" {
			t.Fatalf("connecting redirects to %q", got)
		}
		browsers[athlete] = b
	}
	for _, athlete := range athletes {
		browsers[athlete].current(2 * time.Minute)
	}
	return browsers
}

// deleteWithoutWebhooks deletes an athlete's n newest activities at Strava, whose
// webhooks are dropped.
func (c *cloud) deleteWithoutWebhooks(t *testing.T, athlete int64, n int) {
	t.Helper()
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": strava.DeliverDrop}, nil)
	for _, a := range c.stravaActivities(t, athlete)[:n] {
		c.control(t, "DELETE", fmt.Sprintf("/athletes/%d/activities/%d", athlete, a.ID), nil, nil)
	}
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": strava.DeliverNow}, nil)
}

func (c *cloud) inject(t *testing.T, f strava.Fault) {
	t.Helper()
	c.control(t, "POST", "/faults", f, nil)
}

// pendingFaults counts the injected faults that are still to happen, for an
// athlete and for all others.
func (c *cloud) pendingFaults(t *testing.T, athlete int64) (theirs, others int) {
	t.Helper()
	var faults []strava.Fault
	c.control(t, "GET", "/faults", nil, &faults)
	for _, f := range faults {
		if f.Athlete == athlete {
			theirs++
		} else {
			others++
		}
	}
	return theirs, others
}

// failingAthlete connects an athlete whose list calls fail, and immediately
// afterwards another one.
func failingAthlete(t *testing.T, c *cloud, failing, newcomer int64) {
	lists := strava.Fault{Endpoint: strava.EndpointActivities, Athlete: failing}
	first, second := lists, lists
	first.Kind, first.RateHeaders, first.Count = strava.Fault502, strava.RateHeadersOn, 2
	second.Kind, second.RateHeaders, second.Count = strava.Fault504, strava.RateHeadersOff, -1
	c.inject(t, first)
	c.inject(t, second)

	s, n := c.browser(t), c.browser(t)
	if got := s.connect(failing, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	if got := n.connect(newcomer, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	began := time.Now()
	n.current(30 * time.Second)
	n.mustEqualStrava(newcomer)
	t.Logf("the newcomer's history is complete within %s", time.Since(began).Round(100*time.Millisecond))
	began = time.Now()
	n.awaitUpload(newcomer, soon)
	t.Logf("the newcomer's upload shows within %s", time.Since(began).Round(100*time.Millisecond))

	var status syncState
	waits := func() bool {
		s.get("/v1/me/sync", &status)
		return status.State == "waiting" && status.WaitingFor != nil && *status.WaitingFor == "retry" && status.ResumesAt != nil
	}
	eventually(t, soon, "the failing athlete to see the reason for waiting", waits)
	// The retries are after 15 and 30 s.
	eventually(t, time.Minute, "the second kind of failure", func() bool {
		return c.countResponses(t, strava.EndpointActivities, failing, http.StatusGatewayTimeout) > 0
	})
	eventually(t, soon, "the time of the next attempt", func() bool { return waits() && status.ResumesAt.After(time.Now()) })
	if left := time.Until(*status.ResumesAt); left > time.Minute {
		t.Errorf("the fourth attempt is in %s", left)
	}
	if calls := c.counters(t).Total(strava.EndpointActivities, failing); calls > 3 {
		t.Errorf("%d calls for the failing athlete, want at most 3 so far", calls)
	}
	// DELETE /faults ends all faults, so wait for those of other scenarios.
	eventually(t, 2*time.Minute, "the faults of other scenarios", func() bool {
		_, others := c.pendingFaults(t, failing)
		return others == 0
	})
	c.control(t, "DELETE", "/faults", nil, nil)
	// A further failure may have moved the next attempt.
	if s.get("/v1/me/sync", &status); status.ResumesAt == nil {
		t.Fatalf("no time of the next attempt: %+v", status)
	}
	s.current(time.Until(*status.ResumesAt) + soon)
	s.mustEqualStrava(failing)
}

// wrongPage injects a fault into the second page of a scan of a current athlete.
// If wrong, gathering must find that the scan was wrong, and read the history
// once more.
func wrongPage(t *testing.T, c *cloud, b *browser, athlete int64, f strava.Fault, wrong bool) {
	b = b.in(t)
	f.Endpoint, f.Athlete, f.Page = strava.EndpointActivities, athlete, 2
	all := len(c.stravaActivities(t, athlete))
	before := c.scanState(t, athlete)
	c.inject(t, f)
	c.rescan(t, athlete)
	// until waits and checks that all activities stay readable.
	until := func(within time.Duration, what string, ok func(now scanState) bool) {
		t.Helper()
		eventually(t, within, what, func() bool {
			if shown := b.countActivities(); shown != all {
				t.Fatalf("%d activities of %d are readable while the test waits for %s", shown, all, what)
			}
			return ok(c.scanState(t, athlete))
		})
	}
	until(2*time.Minute, "the fault", func(scanState) bool { left, _ := c.pendingFaults(t, athlete); return left == 0 })
	if wrong {
		until(time.Minute, "a wrong scan", func(now scanState) bool { return now.WrongScans == 1 })
	}
	until(2*time.Minute, "a scan that finds everything", func(now scanState) bool {
		return now.Last.Started > before.Last.Started && now.Last.Activities == all
	})
	if n := c.scanState(t, athlete).WrongScans; !wrong && n != 0 {
		t.Errorf("%d wrong scans, want 0: gathering must read the page again", n)
	}
	b.current(soon)
	b.mustEqualStrava(athlete)
}

// massDeletion scans the history of an athlete who has deleted most of it.
func massDeletion(t *testing.T, c *cloud, b *browser, athlete int64) {
	b = b.in(t)
	left := len(c.stravaActivities(t, athlete))
	if shown := b.countActivities(); shown <= left {
		t.Fatalf("the test proves nothing: %d activities are readable, %d are left at Strava", shown, left)
	}
	c.rescan(t, athlete)
	eventually(t, 2*time.Minute, "the deletions to be confirmed", func() bool {
		confirmed := c.scanState(t, athlete).Scan.Confirmed
		if shown := b.countActivities(); shown < left {
			t.Fatalf("%d activities are readable, %d are left at Strava", shown, left)
		}
		return confirmed
	})
	eventually(t, soon, "the deleted activities to disappear", func() bool { return b.countActivities() == left })
	b.current(soon)
	b.mustEqualStrava(athlete)
}

// burst uploads many activities in a short time.
func burst(t *testing.T, c *cloud, b *browser, athlete int64) {
	b = b.in(t)
	const uploads, within = 20, 15 * time.Second
	before := c.counters(t).Total(strava.EndpointActivities, athlete)
	var last int64
	var at time.Time
	pace := time.NewTicker(within / uploads)
	defer pace.Stop()
	for i := range uploads {
		last, at = c.addActivity(t, athlete, strava.NewActivity{Name: fmt.Sprint("Lap ", i+1)}), time.Now()
		<-pace.C
	}
	eventually(t, soon-time.Since(at), "the last upload", func() bool { return b.do("GET", activityPath(last)).status == http.StatusOK })
	shown := time.Since(at)
	b.mustEqualStrava(athlete)
	calls := c.counters(t).Total(strava.EndpointActivities, athlete) - before
	t.Logf("%d uploads within %s: %d list calls, the last appears after %s", uploads, within, calls, shown.Round(100*time.Millisecond))
	if calls > 5 {
		t.Errorf("%d list calls, want at most 5", calls)
	}
}

// singleUploads measures how long single uploads take to appear.
func singleUploads(t *testing.T, c *cloud, browsers map[int64]*browser, athletes ...int64) {
	const uploads = 10
	// With this pace an athlete's uploads do not count as a burst.
	pace := time.NewTicker(16 * time.Second / time.Duration(len(athletes)))
	defer pace.Stop()
	took := make([]time.Duration, uploads)
	for i := range uploads {
		athlete := athletes[i%len(athletes)]
		began := time.Now()
		browsers[athlete].in(t).awaitUpload(athlete, 2*soon)
		took[i] = time.Since(began)
		<-pace.C
	}
	slices.Sort(took)
	t.Logf("%d single uploads appear within %s at the median, %s at most", uploads, took[uploads/2].Round(100*time.Millisecond), took[uploads-1].Round(100*time.Millisecond))
	if median := took[uploads/2]; median > soon {
		t.Errorf("the median is %s", median)
	}
}

// awaitUpload uploads an activity and waits until it appears.
func (b *browser) awaitUpload(athlete int64, within time.Duration) {
	b.t.Helper()
	id := b.cloud.addActivity(b.t, athlete, strava.NewActivity{Name: "Upload"})
	eventually(b.t, within, "the upload", func() bool { return b.do("GET", activityPath(id)).status == http.StatusOK })
}

// countActivities returns the number of activities in the athlete's totals.
func (b *browser) countActivities() int {
	b.t.Helper()
	var stats struct {
		Total totals `json:"total"`
	}
	b.get("/v1/me/stats?by=year", &stats)
	return stats.Total.Count
}

// mustEqualStrava checks that the API returns the activities that Strava has.
func (b *browser) mustEqualStrava(athlete int64) {
	b.t.Helper()
	want := ids(b.cloud.stravaActivities(b.t, athlete), func(a strava.Activity) int64 { return a.ID })
	if got := ids(b.activities("limit=200"), func(a item) int64 { return a.ID }); !slices.Equal(got, want) {
		b.t.Errorf("the API returns %d activities, Strava has %d", len(got), len(want))
	}
}

// countResponses returns how often Strava responded to an athlete's calls to an
// endpoint with a status.
func (c *cloud) countResponses(t *testing.T, endpoint string, athlete int64, status int) (n int) {
	t.Helper()
	for _, calls := range c.counters(t).Calls {
		if calls.Endpoint == endpoint && calls.Athlete == athlete && calls.Status == status {
			n += calls.Count
		}
	}
	return n
}

// scanState is gathering's record of an athlete's scans.
type scanState struct {
	WrongScans int `dynamodbav:"wrong_scans"`
	Scan       struct {
		Confirmed bool `dynamodbav:"confirmed"`
	} `dynamodbav:"scan"`
	Last struct {
		Started    int64 `dynamodbav:"started"`  // Unix ms
		Finished   int64 `dynamodbav:"finished"` // Unix ms
		Activities int   `dynamodbav:"activities"`
	} `dynamodbav:"last"`
}

// scanKey returns the key of an athlete's scan in gathering's table.
func scanKey(athlete int64) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": dynamo.Text("athlete#" + strconv.FormatInt(athlete, 10)), "sk": dynamo.Text("state"),
	}
}

func (c *cloud) scanState(t *testing.T, athlete int64) (s scanState) {
	t.Helper()
	out, err := dynamodb.NewFromConfig(c.aws(t)).GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(c.resource(t, "Gathering", "AWS::DynamoDB", "table")), Key: scanKey(athlete), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := attributevalue.UnmarshalMap(out.Item, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// rescan starts a scan now that is due in a day, by changing the due time in
// gathering's table. A scan removes no activity that was read less than a minute
// before it. So rescan first waits for a minute; otherwise the scan could not
// remove anything, and the test would prove nothing.
func (c *cloud) rescan(t *testing.T, athlete int64) {
	t.Helper()
	last := time.UnixMilli(c.scanState(t, athlete).Last.Finished)
	time.Sleep(time.Until(last.Add(61 * time.Second)))
	_, err := dynamodb.NewFromConfig(c.aws(t)).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(c.resource(t, "Gathering", "AWS::DynamoDB", "table")), Key: scanKey(athlete),
		UpdateExpression:    aws.String("SET due = :now, job_due = :now, revision = :revision"),
		ConditionExpression: aws.String("queue = :spare"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now": dynamo.Number(time.Now().UnixMilli()), ":revision": dynamo.Text(dynamo.NewRevision().Revision), ":spare": dynamo.Text("spare"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.runGatherer(t)
}

// runGatherer invokes the gatherer, as the schedule does every minute.
func (c *cloud) runGatherer(t *testing.T) {
	t.Helper()
	_, err := lambda.NewFromConfig(c.aws(t)).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(c.resource(t, "Gathering", "AWS::Lambda::Function", "gatherwork")), InvocationType: lambdatypes.InvocationTypeEvent,
	})
	if err != nil {
		t.Fatal(err)
	}
}
