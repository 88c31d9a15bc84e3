package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/standin/strava"
)

// TestSystem tests normal operation on one cloud. Each subtest builds on the
// previous ones.
func TestSystem(t *testing.T) {
	t.Parallel()
	c := start(t, "system")
	spy := c.spy(t)
	// This test is not about the rate limits.
	c.control(t, "PATCH", "/settings", map[string]any{"read_limit": []int{10_000, 100_000}, "overall_limit": []int{20_000, 200_000}}, nil)
	athletes := c.athletes(t)
	if len(athletes) < 5 {
		t.Fatalf("the stand-in has %d athletes", len(athletes))
	}
	browsers := make([]*browser, 5)
	var endedSession string // of the athlete who deauthorized

	t.Run("a request without a session is refused", func(t *testing.T) { strangersAreRefused(t, c) })
	t.Run("five athletes connect at the same time and see only their own data", func(t *testing.T) {
		for i := range browsers {
			browsers[i] = c.browser(t)
		}
		athletesStayApart(t, c, browsers, athletes[:5])
	})
	t.Run("stats equal the sums over the history", func(t *testing.T) { statsEqualHistory(t, c, browsers[0].in(t), athletes[0].ID) })
	t.Run("a webhook changes the API's data", func(t *testing.T) { webhooksReachAPI(t, c, browsers[0].in(t), athletes[0].ID) })
	t.Run("duplicate and reordered webhooks give the same result", func(t *testing.T) { reorderedWebhooks(t, c, browsers[4].in(t), athletes[4].ID) })
	t.Run("a forged webhook deletes nothing", func(t *testing.T) { forgedWebhooks(t, c, browsers[1].in(t), athletes[1].ID) })
	t.Run("an expired token is refreshed once", func(t *testing.T) { tokensRefreshOnce(t, c, browsers[1].in(t), athletes[1].ID) })
	t.Run("a refresh finds an activity without a webhook", func(t *testing.T) { refreshFindsActivity(t, c, browsers[1].in(t), athletes[1].ID) })
	t.Run("sessions and keys end", func(t *testing.T) { sessionsAndKeysEnd(t, c, browsers[1].in(t), athletes[1].ID) })
	t.Run("an export contains all activities", func(t *testing.T) { exportIsComplete(t, c, browsers[1].in(t), athletes[1].ID) })
	t.Run("a deauthorization erases all data", func(t *testing.T) {
		endedSession = browsers[2].in(t).session()
		deauthorizationErases(t, c, browsers[2].in(t), athletes[2].ID)
	})
	t.Run("leaving erases all data and returns a receipt", func(t *testing.T) { leavingErases(t, c, browsers[3].in(t), athletes[3].ID) })
	t.Run("leaving erases a long history", func(t *testing.T) { leavingErasesLongHistory(t, c, browsers[3].in(t), athletes[3].ID) })
	t.Run("leaving during gathering leaves nothing behind", func(t *testing.T) { leavingDuringWork(t, c, spy, browsers[3].in(t), athletes[3].ID) })
	t.Run("the page works in a browser", func(t *testing.T) { pageWorksInBrowser(t, c) })
	t.Run("the admin sees the capacity and the waitlist", func(t *testing.T) { adminSeesCapacity(t, c) })
	t.Run("an invalid session or key gives no access", func(t *testing.T) {
		impostorsGetNoAccess(t, c, browsers[4].in(t), browsers[0].in(t), endedSession, athletes[4].ID)
	})
	t.Run("fuzzed calls get the described responses", func(t *testing.T) {
		fuzzedCalls(t, c, browsers[4].in(t), browsers[0].in(t), endedSession, athletes[4].ID)
	})
	t.Run("gathering waits for the rate limit and says so", func(t *testing.T) { gatheringWaitsForQuota(t, c, athletes[1].ID) })
	t.Run("a second up restarts nothing", func(t *testing.T) { secondUpRestartsNothing(t, c, browsers[1].in(t)) })
	t.Run("the admin ends every session", func(t *testing.T) { adminEndsSessions(t, c, browsers[1].in(t), athletes[1].ID) })
	t.Run("the dead-letter queues are empty", func(t *testing.T) { deadLettersAreEmpty(t, c) })
	t.Run("no secret or location leaks", func(t *testing.T) { nothingLeaks(t, c, spy, athletes[4].ID, athletes[3].ID) })
}

func strangersAreRefused(t *testing.T, c *cloud) {
	b := c.browser(t)
	for _, path := range []string{"/v1/me", "/v1/me/activities", "/v1/me/activities/1", "/v1/me/stats", "/v1/me/sync"} {
		a := b.do("GET", path)
		if a.status != http.StatusUnauthorized || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("GET %s: %d %s", path, a.status, a.header.Get("Content-Type"))
		}
	}
	if a := b.do("DELETE", "/v1/me"); a.status != http.StatusUnauthorized {
		t.Errorf("DELETE /v1/me: %d", a.status)
	}
	if a := b.do("GET", "/v1/erasures/made-up"); a.status != http.StatusNotFound {
		t.Errorf("a made-up receipt: %d", a.status)
	}
	if a := b.do("GET", "/oauth/callback?state=made-up&code=made-up&scope=read,activity:read"); a.header.Get("Location") != "/?error=state" {
		t.Errorf("a made-up callback redirects to %q", a.header.Get("Location"))
	}
	athlete := c.athletes(t)[0].ID
	for more, want := range map[string]string{"&deny=1": "/?error=access_denied", "&accept_scope=read": "/?error=missing_scope"} {
		if got := b.connect(athlete, more); got != want {
			t.Errorf("%s redirects to %q", more, got)
		}
	}
	if a := b.do("GET", "/v1/me"); a.status != http.StatusUnauthorized {
		t.Errorf("after a refused connection: %d", a.status)
	}
}

func athletesStayApart(t *testing.T, c *cloud, browsers []*browser, athletes []strava.AthleteState) {
	deadline := time.Now().Add(time.Minute)
	var wg sync.WaitGroup
	for i, b := range browsers {
		wg.Go(func() {
			if got := b.connect(athletes[i].ID, ""); got != "/" {
				t.Errorf("connecting redirects to %q", got)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	synced := make([]syncState, len(browsers))
	for i, b := range browsers {
		synced[i] = b.current(time.Until(deadline))
	}
	for i, b := range browsers {
		atStrava := c.stravaActivities(t, athletes[i].ID)
		if n := synced[i].Gathered; n != len(atStrava) {
			t.Errorf("athlete %d: %d gathered of %d", i, n, len(atStrava))
		}
		got := b.activities("limit=200")
		if !slices.Equal(ids(got, func(a item) int64 { return a.ID }), ids(atStrava, func(a strava.Activity) int64 { return a.ID })) {
			t.Errorf("athlete %d: %d activities of %d", i, len(got), len(atStrava))
		}
		if !slices.IsSortedFunc(got, func(x, y item) int { return strings.Compare(y.StartDate, x.StartDate) }) {
			t.Errorf("athlete %d: not newest first", i)
		}
		if n, want := c.counters(t).Total(strava.EndpointActivities, athletes[i].ID), (len(atStrava)+199)/200+1; n != want {
			t.Errorf("athlete %d: %d list calls, want %d", i, n, want)
		}
		eventually(t, 30*time.Second, "the profile", func() bool {
			var me struct {
				ID        int64  `json:"id"`
				Firstname string `json:"firstname"`
			}
			b.get("/v1/me", &me)
			if me.ID != athletes[i].ID {
				t.Fatalf("athlete %d is shown athlete %d", i, me.ID)
			}
			return me.Firstname == athletes[i].Firstname
		})
		other := c.stravaActivities(t, athletes[(i+1)%len(athletes)].ID)[0].ID
		if a := b.do("GET", fmt.Sprintf("/v1/me/activities/%d", other)); a.status != http.StatusNotFound {
			t.Errorf("athlete %d: another's activity: %d", i, a.status)
		}
	}
}

type totals struct {
	Start              string  `json:"start"`
	Count              int     `json:"count"`
	Distance           float64 `json:"distance"`
	MovingTime         float64 `json:"moving_time"`
	ElapsedTime        float64 `json:"elapsed_time"`
	TotalElevationGain float64 `json:"total_elevation_gain"`
}

func statsEqualHistory(t *testing.T, c *cloud, b *browser, athlete int64) {
	want, total := map[string]*totals{}, &totals{}
	for _, a := range c.stravaActivities(t, athlete) {
		var s struct {
			StartDateLocal string `json:"start_date_local"`
			totals
		}
		if err := json.Unmarshal(a.Summary, &s); err != nil {
			t.Fatal(err)
		}
		year := s.StartDateLocal[:4] + "-01-01"
		if want[year] == nil {
			want[year] = &totals{Start: year}
		}
		for _, sum := range []*totals{want[year], total} {
			sum.Count++
			sum.Distance += s.Distance
			sum.MovingTime += s.MovingTime
			sum.ElapsedTime += s.ElapsedTime
			sum.TotalElevationGain += s.TotalElevationGain
		}
	}
	same := func(a, b totals) bool {
		near := func(x, y float64) bool { return math.Abs(x-y) < 0.01 }
		return a.Count == b.Count && near(a.Distance, b.Distance) && near(a.MovingTime, b.MovingTime) &&
			near(a.ElapsedTime, b.ElapsedTime) && near(a.TotalElevationGain, b.TotalElevationGain)
	}
	var got struct {
		Periods []totals `json:"periods"`
		Total   totals   `json:"total"`
	}
	b.get("/v1/me/stats?by=year", &got)
	if len(got.Periods) != len(want) {
		t.Errorf("%d years, want %d", len(got.Periods), len(want))
	}
	for _, p := range got.Periods {
		if want[p.Start] == nil || !same(p, *want[p.Start]) {
			t.Errorf("got %+v, want %+v", p, want[p.Start])
		}
	}
	if !same(got.Total, *total) {
		t.Errorf("total %+v, want %+v", got.Total, *total)
	}
}

// soon is the time within which a webhook must reach the API.
const soon = 15 * time.Second

func activityPath(id int64) string { return "/v1/me/activities/" + strconv.FormatInt(id, 10) }

func (c *cloud) addActivity(t *testing.T, athlete int64, n strava.NewActivity) int64 {
	t.Helper()
	var created struct {
		ID int64 `json:"id"`
	}
	c.control(t, "POST", fmt.Sprintf("/athletes/%d/activities", athlete), n, &created)
	return created.ID
}

func (c *cloud) editActivity(t *testing.T, athlete, id int64, edit map[string]string) {
	t.Helper()
	c.control(t, "PATCH", fmt.Sprintf("/athletes/%d/activities/%d", athlete, id), edit, nil)
}

func webhooksReachAPI(t *testing.T, c *cloud, b *browser, athlete int64) {
	id := c.addActivity(t, athlete, strava.NewActivity{Name: "Fresh ride"})
	seen := func(want func(item) bool) func() bool {
		return func() bool {
			a := b.do("GET", activityPath(id))
			var it item
			return a.status == http.StatusOK && json.Unmarshal(a.body, &it) == nil && want(it)
		}
	}
	eventually(t, soon, "the new activity", seen(func(a item) bool { return a.Name == "Fresh ride" }))
	c.editActivity(t, athlete, id, map[string]string{"name": "Renamed ride"})
	eventually(t, soon, "the new title", seen(func(a item) bool { return a.Name == "Renamed ride" }))
	c.editActivity(t, athlete, id, map[string]string{"visibility": strava.OnlyMe})
	eventually(t, soon, "the activity to be private", seen(func(a item) bool { return a.Private && a.Visibility == strava.OnlyMe }))
	c.editActivity(t, athlete, id, map[string]string{"visibility": strava.Everyone})
	eventually(t, soon, "the activity to be public again", seen(func(a item) bool { return !a.Private }))
	c.control(t, "DELETE", fmt.Sprintf("/athletes/%d/activities/%d", athlete, id), nil, nil)
	eventually(t, soon, "the activity to be gone", func() bool { return b.do("GET", activityPath(id)).status == http.StatusNotFound })
}

// lastTitle is the title of an activity that is never deleted.
const lastTitle = "Last title"

func reorderedWebhooks(t *testing.T, c *cloud, b *browser, athlete int64) {
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "hold", "delivery_copies": 3}, nil)
	kept := c.addActivity(t, athlete, strava.NewActivity{Name: "First title"})
	c.editActivity(t, athlete, kept, map[string]string{"name": lastTitle})
	deleted := c.addActivity(t, athlete, strava.NewActivity{Name: "Short-lived"})
	c.control(t, "DELETE", fmt.Sprintf("/athletes/%d/activities/%d", athlete, deleted), nil, nil)
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "send", "delivery_copies": 1}, nil)
	c.control(t, "POST", "/release", map[string]any{"order": "reverse"}, nil)

	atStrava := ids(c.stravaActivities(t, athlete), func(a strava.Activity) int64 { return a.ID })
	// Activities that arrive after the first list call wait 15 seconds for the next
	// one.
	eventually(t, time.Minute, "the final state at Strava", func() bool {
		got := b.activities("limit=200")
		i := slices.IndexFunc(got, func(a item) bool { return a.ID == kept })
		return i >= 0 && got[i].Name == lastTitle && slices.Equal(ids(got, func(a item) int64 { return a.ID }), atStrava)
	})
	never(t, 5*time.Second, "a change of the final state", func() bool {
		return !slices.Equal(ids(b.activities("limit=200"), func(a item) int64 { return a.ID }), atStrava)
	})
}

// webhookBody adds the subscription and the time to the body of a webhook.
func (c *cloud) webhookBody(t *testing.T, body map[string]any) map[string]any {
	t.Helper()
	var status struct {
		Subscription strava.Subscription `json:"subscription"`
	}
	c.control(t, "GET", "/status", nil, &status)
	body["subscription_id"] = status.Subscription.ID
	body["event_time"] = time.Now().Unix()
	return body
}

// deliver posts a webhook to the callback, as Strava does.
func (c *cloud) deliver(t *testing.T, body map[string]any) {
	t.Helper()
	var outcome struct {
		Outcome string `json:"outcome"`
	}
	c.control(t, "POST", "/webhook", body, &outcome)
	if outcome.Outcome != "200" {
		t.Fatalf("the webhook answered %s", outcome.Outcome)
	}
}

func forgedWebhooks(t *testing.T, c *cloud, b *browser, athlete int64) {
	before := b.activities("limit=200")
	rereads := c.counters(t).Total(strava.EndpointActivity, athlete)
	checks := c.counters(t).Total(strava.EndpointAthlete, athlete)
	deletion := c.webhookBody(t, map[string]any{"object_type": "activity", "object_id": before[0].ID, "aspect_type": "delete", "owner_id": athlete, "updates": map[string]string{}})
	c.deliver(t, deletion)
	c.deliver(t, c.webhookBody(t, map[string]any{"object_type": "athlete", "object_id": athlete, "aspect_type": "update", "owner_id": athlete, "updates": map[string]string{"authorized": "false"}}))
	eventually(t, soon, "both claims to be verified at Strava", func() bool {
		n := c.counters(t)
		return n.Total(strava.EndpointActivity, athlete) > rereads && n.Total(strava.EndpointAthlete, athlete) > checks
	})
	never(t, 5*time.Second, "a deletion by a forged webhook", func() bool {
		return b.do("GET", "/v1/me").status != http.StatusOK || len(b.activities("limit=200")) != len(before)
	})
	// The webhook refuses the same body under another callback key.
	stranger := c.browser(t)
	if a := stranger.post(c.outputs.Webhook[:strings.LastIndex(c.outputs.Webhook, "/")+1]+"guessed", deletion); a.status != http.StatusNotFound {
		t.Errorf("a guessed callback: %d %s", a.status, a.body)
	}
	if a := stranger.do("GET", c.outputs.Webhook+"?hub.mode=subscribe&hub.challenge=x&hub.verify_token=guessed"); a.status != http.StatusForbidden {
		t.Errorf("a guessed verify token: %d", a.status)
	}
}

// tokensRefreshOnce expires the tokens and then makes many calls for the athlete
// at the same time, for each kind of token rotation.
func tokensRefreshOnce(t *testing.T, c *cloud, b *browser, athlete int64) {
	const callers = 200
	invoke := c.requester(t, athlete)
	for _, rotation := range []string{"always", "random", "never"} {
		c.control(t, "PATCH", "/settings", map[string]any{"rotation": rotation}, nil)
		c.control(t, "PUT", fmt.Sprintf("/athletes/%d/token-life", athlete), map[string]string{"left": "-1s"}, nil)
		before := c.counters(t).Total(strava.EndpointRefresh, athlete)
		var wg sync.WaitGroup
		outcomes := make([]string, callers)
		for i := range callers {
			wg.Go(func() { outcomes[i] = invoke() })
		}
		wg.Wait()
		for _, o := range outcomes {
			if o != "answered 200" {
				t.Errorf("rotation %s: %s", rotation, o)
			}
		}
		if n := c.counters(t).Total(strava.EndpointRefresh, athlete) - before; n != 1 {
			t.Errorf("rotation %s: %d refreshes", rotation, n)
		}
		id, name := c.stravaActivities(t, athlete)[0].ID, "After a refresh, rotation "+rotation
		c.editActivity(t, athlete, id, map[string]string{"name": name})
		eventually(t, soon, "an activity read with a refreshed token", func() bool {
			var it item
			b.get(activityPath(id), &it)
			return it.Name == name
		})
	}
	n := c.counters(t)
	if n.DeadRefreshUses[athlete] != 0 || n.MaxRefreshesInFlight[athlete] > 1 {
		t.Errorf("%d invalid refresh tokens used, %d concurrent refreshes", n.DeadRefreshUses[athlete], n.MaxRefreshesInFlight[athlete])
	}
}

// requester returns a function that makes one call for the athlete through the
// deployed requester and returns its outcome.
func (c *cloud) requester(t *testing.T, athlete int64) func() string {
	t.Helper()
	table := c.resource(t, "Credentials", "AWS::DynamoDB", "grants")
	function := c.resource(t, "Credentials", "AWS::Lambda::Function", "forwardrequest")
	grant, err := dynamodb.NewFromConfig(c.aws(t)).GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(table), Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: fmt.Sprintf("grant#strava/%d", athlete)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	generation, ok := grant.Item["generation"].(*types.AttributeValueMemberN)
	if !ok {
		t.Fatalf("the athlete has no grant in %s", table)
	}
	client := lambda.NewFromConfig(c.aws(t))
	payload := fmt.Appendf(nil, `{"athlete_id":%d,"generation":%s,"path":"/athlete"}`, athlete, generation.Value)
	return func() string {
		out, err := client.Invoke(context.WithoutCancel(t.Context()), &lambda.InvokeInput{FunctionName: aws.String(function), Payload: payload})
		if err != nil {
			return err.Error()
		}
		var answer struct {
			Outcome string `json:"outcome"`
			Status  int    `json:"status"`
		}
		if out.FunctionError != nil || json.Unmarshal(out.Payload, &answer) != nil {
			return "the function failed"
		}
		return fmt.Sprintf("%s %d", answer.Outcome, answer.Status)
	}
}

// gatheringWaitsForQuota connects an athlete when only a few calls are left in
// the 15-minute window.
func gatheringWaitsForQuota(t *testing.T, c *cloud, athlete int64) {
	// Avoid the end of a window: it could pass during the test.
	if left := 15*time.Minute - time.Duration(time.Now().UnixNano())%(15*time.Minute); left < 30*time.Second {
		time.Sleep(left)
	}
	var usage strava.Usage
	c.control(t, "GET", "/status", nil, &struct {
		Usage *strava.Usage `json:"usage"`
	}{&usage})
	limits := map[string]any{"read_limit": []int{usage.Read[0] + 2, 100_000}}
	c.control(t, "PATCH", "/settings", limits, nil)
	b := c.browser(t)
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	var s syncState
	eventually(t, soon, "the state waiting", func() bool {
		b.get("/v1/me/sync", &s)
		return s.State == "waiting"
	})
	now := time.Now()
	if s.WaitingFor == nil || *s.WaitingFor != "rate_limit" || s.ResumesAt == nil || s.ResumesAt.Before(now) || s.ResumesAt.After(now.Add(16*time.Minute)) {
		t.Errorf("sync %+v", s)
	}
	never(t, 3*time.Second, "a call beyond the rate limit", func() bool {
		for _, n := range c.counters(t).Calls {
			if n.Status == http.StatusTooManyRequests {
				return true
			}
		}
		return false
	})
}

func deauthorizationErases(t *testing.T, c *cloud, b *browser, athlete int64) {
	mustBeStoredEverywhere(t, c, athlete)
	c.control(t, "POST", fmt.Sprintf("/athletes/%d/deauthorize", athlete), nil, nil)
	for _, path := range []string{"/v1/me", "/v1/me/activities", "/v1/me/stats", "/v1/me/sync"} {
		eventually(t, soon, path+" to require a session", func() bool { return b.do("GET", path).status == http.StatusUnauthorized })
	}
	eventually(t, soon, "everything to be erased", func() bool { return len(c.stored(t, athlete)) == 0 })
}

func leavingErases(t *testing.T, c *cloud, b *browser, athlete int64) {
	mustBeStoredEverywhere(t, c, athlete)
	b.leave(athlete, 2*soon)
	// The athlete can connect again.
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting again redirects to %q", got)
	}
	var me struct {
		ID int64 `json:"id"`
	}
	b.get("/v1/me", &me)
	if me.ID != athlete {
		t.Errorf("connected again as %d", me.ID)
	}
}

// secondUpRestartsNothing runs `up` on a running cloud.
func secondUpRestartsNothing(t *testing.T, c *cloud, b *browser) {
	before := c.records(t)
	c.paceline(t, "up")
	if after := c.records(t); !maps.Equal(before, after) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
	if a := b.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("GET /v1/me: %d", a.status)
	}
}

// adminSeesCapacity compares the admin's count of athletes with Strava's, and
// removes the address that the browser test added to the waitlist.
func adminSeesCapacity(t *testing.T, c *cloud) {
	connected := 0
	for _, athlete := range c.athletes(t) {
		if athlete.Connected {
			connected++
		}
	}
	var status struct{ Authorized, Capacity int }
	eventually(t, soon, fmt.Sprintf("%d of 10 athletes", connected), func() bool {
		c.admin(t, &status, "status")
		return status.Authorized == connected && status.Capacity == 10
	})
	var idle struct{ Athletes []any }
	if c.admin(t, &idle, "athletes", "--idle", "90d"); len(idle.Athletes) != 0 {
		t.Errorf("idle: %v", idle.Athletes)
	}
	var list struct{ Waiting []struct{ Contact string } }
	if c.admin(t, &list, "waitlist"); len(list.Waiting) != 1 || list.Waiting[0].Contact != "ann@paceline.example" {
		t.Fatalf("waiting: %+v", list.Waiting)
	}
	c.admin(t, nil, "waitlist", "remove", list.Waiting[0].Contact)
	if c.admin(t, &list, "waitlist"); len(list.Waiting) != 0 {
		t.Errorf("still waiting: %+v", list.Waiting)
	}
}

// pageWorksInBrowser runs the browser test. It connects the first athlete who is
// not connected. That is not the one with the long history, whose gathering
// exceeds the timeouts of the browser test.
func pageWorksInBrowser(t *testing.T, c *cloud) {
	c.control(t, "PATCH", "/settings", map[string]any{"read_limit": []int{10_000, 100_000}}, nil)
	cmd := exec.Command("npm", "run", "--silent", "test:browser")
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "PACELINE_APP="+c.outputs.App)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
