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
	"github.com/paceline/paceline/standin/strava"
)

// TestGreyFailures has Strava fail for one athlete or for one page, while others
// are served, and then loses webhooks. Virtual time covers every kind of failure
// (pkg/gathering); this is about the deployed parts together.
func TestGreyFailures(t *testing.T) {
	t.Parallel()
	c := start(t, "grey")
	// The quota is not under test here.
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
	sick, newcomer := next(), next()

	for _, athlete := range []int64{emptyOnce, emptyThrice, repeated, deleter} {
		c.lengthen(t, athlete, 450) // Three pages.
	}
	browsers := c.connected(t, emptyOnce, emptyThrice, repeated, deleter, uploader, single, other)
	c.deleteUnnoticed(t, deleter, 400)

	// These wait more than they work, and each has its own athletes.
	t.Run("at once", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T){
			"a sick athlete costs a newcomer nothing": func(t *testing.T) { sickAthlete(t, c, sick, newcomer) },
			"a page that is empty once loses nothing": func(t *testing.T) {
				wrongPage(t, c, browsers[emptyOnce], emptyOnce, strava.Fault{Kind: strava.Fault200EmptyList, Count: 1}, false)
			},
			"a page that is empty three times is questioned and loses nothing": func(t *testing.T) {
				// The end is read twice more before it is believed.
				wrongPage(t, c, browsers[emptyThrice], emptyThrice, strava.Fault{Kind: strava.Fault200EmptyList, Count: 3}, true)
			},
			"a page that repeats the one before loses nothing": func(t *testing.T) {
				wrongPage(t, c, browsers[repeated], repeated, strava.Fault{Kind: strava.FaultRepeatedPage, Count: 1}, false)
			},
			"most of a history deleted is confirmed and gone": func(t *testing.T) { massDeletion(t, c, browsers[deleter], deleter) },
			"a burst of uploads costs few calls":              func(t *testing.T) { burst(t, c, browsers[uploader], uploader) },
			"single uploads show within seconds":              func(t *testing.T) { singleUploads(t, c, browsers, single, other) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				scenario(t)
			})
		}
	})
	p := c.prober(t)
	t.Run("storage refuses, the receiver restarts, and the gap is repaired", func(t *testing.T) { storageRefuses(t, p, browsers[uploader].in(t), uploader) })
	t.Run("the subscription is deleted at Strava behind our back", func(t *testing.T) { subscriptionDeleted(t, p) })
	t.Run("no dead letters", func(t *testing.T) { noDeadLetters(t, c) })
}

// connected connects athletes and waits until everything of them is gathered.
func (c *cloud) connected(t *testing.T, athletes ...int64) map[int64]*browser {
	t.Helper()
	browsers := map[int64]*browser{}
	for _, athlete := range athletes {
		b := c.browser(t)
		if got := b.connect(athlete, ""); got != "/" {
			t.Fatalf("connecting leads to %q", got)
		}
		browsers[athlete] = b
	}
	for _, athlete := range athletes {
		browsers[athlete].current(2 * time.Minute)
	}
	return browsers
}

// deleteUnnoticed has an athlete delete the n newest activities while Strava
// loses the webhooks.
func (c *cloud) deleteUnnoticed(t *testing.T, athlete int64, n int) {
	t.Helper()
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": strava.DeliverDrop}, nil)
	for _, a := range c.truth(t, athlete)[:n] {
		c.control(t, "DELETE", fmt.Sprintf("/athletes/%d/activities/%d", athlete, a.ID), nil, nil)
	}
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": strava.DeliverNow}, nil)
}

func (c *cloud) inject(t *testing.T, f strava.Fault) {
	t.Helper()
	c.control(t, "POST", "/faults", f, nil)
}

// faulty counts the faults still to happen to an athlete's calls, and to all
// others'.
func (c *cloud) faulty(t *testing.T, athlete int64) (theirs, others int) {
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

// sickAthlete has an athlete connect whose lists Strava never answers, and
// another one right after.
func sickAthlete(t *testing.T, c *cloud, sick, newcomer int64) {
	lists := strava.Fault{Endpoint: strava.EndpointActivities, Athlete: sick}
	first, second := lists, lists
	first.Kind, first.RateHeaders, first.Count = strava.Fault502, strava.RateHeadersOn, 2
	second.Kind, second.RateHeaders, second.Count = strava.Fault504, strava.RateHeadersOff, -1
	c.inject(t, first)
	c.inject(t, second)

	s, n := c.browser(t), c.browser(t)
	if got := s.connect(sick, ""); got != "/" {
		t.Fatalf("connecting leads to %q", got)
	}
	if got := n.connect(newcomer, ""); got != "/" {
		t.Fatalf("connecting leads to %q", got)
	}
	began := time.Now()
	n.current(30 * time.Second)
	n.holdsTruth(newcomer)
	t.Logf("the newcomer's history is complete within %s", time.Since(began).Round(100*time.Millisecond))
	began = time.Now()
	n.awaitUpload(newcomer, soon)
	t.Logf("the newcomer's upload shows within %s", time.Since(began).Round(100*time.Millisecond))

	var status syncStatus
	waits := func() bool {
		s.get("/v1/me/sync", &status)
		return status.State == "waiting" && status.WaitingFor != nil && *status.WaitingFor == "retry" && status.ResumesAt != nil
	}
	eventually(t, soon, "the sick athlete to see what is waited for", waits)
	// After 15 and 30 s.
	eventually(t, time.Minute, "the other kind of failure", func() bool { return c.answers(t, strava.EndpointActivities, sick, http.StatusGatewayTimeout) > 0 })
	eventually(t, soon, "the time of the next try to show", func() bool { return waits() && status.ResumesAt.After(time.Now()) })
	if left := time.Until(*status.ResumesAt); left > time.Minute {
		t.Errorf("the fourth try is in %s", left)
	}
	if calls := c.counters(t).Total(strava.EndpointActivities, sick); calls > 3 {
		t.Errorf("%d calls for the sick athlete, want 3 by now", calls)
	}
	// All faults end at once, so those of other scenarios have to be over.
	eventually(t, 2*time.Minute, "the faults of others to have happened", func() bool {
		_, others := c.faulty(t, sick)
		return others == 0
	})
	c.control(t, "DELETE", "/faults", nil, nil)
	// It may have failed again meanwhile, and then waits longer.
	if s.get("/v1/me/sync", &status); status.ResumesAt == nil {
		t.Fatalf("no time is shown: %+v", status)
	}
	s.current(time.Until(*status.ResumesAt) + soon)
	s.holdsTruth(sick)
}

// wrongPage spoils the second page when the whole history of a current athlete
// is read again. questioned says that gathering then looks for the missing
// activities and reads the history once more.
func wrongPage(t *testing.T, c *cloud, b *browser, athlete int64, f strava.Fault, questioned bool) {
	b = b.in(t)
	f.Endpoint, f.Athlete, f.Page = strava.EndpointActivities, athlete, 2
	all := len(c.truth(t, athlete))
	before := c.scanned(t, athlete)
	c.inject(t, f)
	c.rescan(t, athlete)
	// until waits, and all activities have to stay readable meanwhile.
	until := func(within time.Duration, what string, ok func(now scanned) bool) {
		t.Helper()
		eventually(t, within, what, func() bool {
			if shown := b.shown(); shown != all {
				t.Fatalf("%d activities of %d are readable while the test waits for %s", shown, all, what)
			}
			return ok(c.scanned(t, athlete))
		})
	}
	until(2*time.Minute, "the wrong page", func(scanned) bool { left, _ := c.faulty(t, athlete); return left == 0 })
	if questioned {
		until(time.Minute, "the scan to be doubted", func(now scanned) bool { return now.Doubts == 1 })
	}
	until(2*time.Minute, "a scan that finds everything", func(now scanned) bool {
		return now.Last.Started > before.Last.Started && now.Last.Activities == all
	})
	if doubts := c.scanned(t, athlete).Doubts; !questioned && doubts != 0 {
		t.Errorf("%d scans were doubted, want none: the page was to be read again", doubts)
	}
	b.current(soon)
	b.holdsTruth(athlete)
}

// massDeletion has the history read again of an athlete who has deleted most of
// it.
func massDeletion(t *testing.T, c *cloud, b *browser, athlete int64) {
	b = b.in(t)
	left := len(c.truth(t, athlete))
	if shown := b.shown(); shown <= left {
		t.Fatalf("%d activities are readable, %d are left at Strava: this proves nothing", shown, left)
	}
	c.rescan(t, athlete)
	eventually(t, 2*time.Minute, "the deletions to be confirmed", func() bool {
		confirmed := c.scanned(t, athlete).Scan.Confirmed
		if shown := b.shown(); shown < left {
			t.Fatalf("%d activities are readable, %d are left at Strava", shown, left)
		}
		return confirmed
	})
	eventually(t, soon, "what is deleted to be gone", func() bool { return b.shown() == left })
	b.current(soon)
	b.holdsTruth(athlete)
}

// burst uploads many activities within a short time.
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
	b.holdsTruth(athlete)
	calls := c.counters(t).Total(strava.EndpointActivities, athlete) - before
	t.Logf("%d uploads within %s: %d list calls, the last shows after %s", uploads, within, calls, shown.Round(100*time.Millisecond))
	if calls > 5 {
		t.Errorf("%d list calls, want 5 at most", calls)
	}
}

// singleUploads measures how long uploads take to show that come one by one.
func singleUploads(t *testing.T, c *cloud, browsers map[int64]*browser, athletes ...int64) {
	const uploads = 10
	// So long that each athlete's uploads are singles, no burst.
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
	t.Logf("%d single uploads show within %s at the median, %s at most", uploads, took[uploads/2].Round(100*time.Millisecond), took[uploads-1].Round(100*time.Millisecond))
	if median := took[uploads/2]; median > soon {
		t.Errorf("the median is %s", median)
	}
}

// awaitUpload uploads an activity and waits until it shows.
func (b *browser) awaitUpload(athlete int64, within time.Duration) {
	b.t.Helper()
	id := b.cloud.addActivity(b.t, athlete, strava.NewActivity{Name: "Upload"})
	eventually(b.t, within, "the upload", func() bool { return b.do("GET", activityPath(id)).status == http.StatusOK })
}

// shown is how many activities the athlete is shown.
func (b *browser) shown() int {
	b.t.Helper()
	var stats struct {
		Total totals `json:"total"`
	}
	b.get("/v1/me/stats?by=year", &stats)
	return stats.Total.Count
}

// holdsTruth checks that what the athlete is shown is what Strava holds.
func (b *browser) holdsTruth(athlete int64) {
	b.t.Helper()
	want := ids(b.cloud.truth(b.t, athlete), func(a strava.Activity) int64 { return a.ID })
	if got := ids(b.activities("limit=200"), func(a item) int64 { return a.ID }); !slices.Equal(got, want) {
		b.t.Errorf("%d activities are shown, Strava holds %d", len(got), len(want))
	}
}

// answers is how often Strava answered the athlete's calls to an endpoint with a
// status.
func (c *cloud) answers(t *testing.T, endpoint string, athlete int64, status int) (n int) {
	t.Helper()
	for _, calls := range c.counters(t).Calls {
		if calls.Endpoint == endpoint && calls.Athlete == athlete && calls.Status == status {
			n += calls.Count
		}
	}
	return n
}

// scanned is what gathering remembers of an athlete's scans.
type scanned struct {
	Doubts int `dynamodbav:"doubts"`
	Scan   struct {
		Confirmed bool `dynamodbav:"confirmed"`
	} `dynamodbav:"scan"`
	Last struct {
		Started    int64 `dynamodbav:"started"`  // Unix ms
		Finished   int64 `dynamodbav:"finished"` // Unix ms
		Activities int   `dynamodbav:"activities"`
	} `dynamodbav:"last"`
}

// scanKey is where gathering's table has an athlete's scan.
func scanKey(athlete int64) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "athlete#" + strconv.FormatInt(athlete, 10)},
		"sk": &types.AttributeValueMemberS{Value: "state"},
	}
}

func (c *cloud) scanned(t *testing.T, athlete int64) (s scanned) {
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

// rescan makes a scan that is due in a day run now: it changes the due time in
// gathering's table, as if the day had passed. A scan removes nothing that was
// read less than a minute before it, so rescan first waits for that minute.
// Otherwise the scan could remove nothing, and a test would prove nothing.
func (c *cloud) rescan(t *testing.T, athlete int64) {
	t.Helper()
	last := time.UnixMilli(c.scanned(t, athlete).Last.Finished)
	time.Sleep(time.Until(last.Add(61 * time.Second)))
	now := &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().UnixMilli(), 10)}
	_, err := dynamodb.NewFromConfig(c.aws(t)).UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(c.resource(t, "Gathering", "AWS::DynamoDB", "table")), Key: scanKey(athlete),
		UpdateExpression:    aws.String("SET due = :now, job_due = :now ADD revision :one"),
		ConditionExpression: aws.String("queue = :spare"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":now": now, ":one": &types.AttributeValueMemberN{Value: "1"}, ":spare": &types.AttributeValueMemberS{Value: "spare"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.runGatherer(t)
}

// runGatherer runs a gatherer, as the schedule does every minute.
func (c *cloud) runGatherer(t *testing.T) {
	t.Helper()
	_, err := lambda.NewFromConfig(c.aws(t)).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(c.resource(t, "Gathering", "AWS::Lambda::Function", "gatherwork")), InvocationType: lambdatypes.InvocationTypeEvent,
	})
	if err != nil {
		t.Fatal(err)
	}
}
