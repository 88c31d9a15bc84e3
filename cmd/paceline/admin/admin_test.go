package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
	gathering "github.com/paceline/paceline/pkg/gathering/handler"
)

// desk is the command line over an admin function whose responses the test sets.
type desk struct {
	answer   func(handler.AdminRequest) (handler.AdminResponse, error)
	requests []handler.AdminRequest
	// erasures are the counts of erasures, the last again and again; issued are the
	// receipts that they were asked with.
	erasures []athletehandler.ErasuresView
	issued   [][]handler.ReceiptView
	// erasuresErr is why they cannot be counted.
	erasuresErr error
	// gathering is the state of gathering.
	gathering *gathering.StatusView
	// reconciled counts the calls of reconcile-grants, which return reconcileErr.
	// slept is how long the command has waited.
	reconciled   int
	reconcileErr error
	slept        time.Duration
	// shown is what the last command wrote on standard error.
	shown string
}

// run runs a command with typed as its standard input.
func (d *desk) run(t *testing.T, typed string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := newCommand(&adminCLI{
		invoke: func(_ context.Context, req handler.AdminRequest) (handler.AdminResponse, error) {
			d.requests = append(d.requests, req)
			if d.answer == nil {
				return handler.AdminResponse{}, nil
			}
			return d.answer(req)
		},
		erasures: func(_ context.Context, issued []handler.ReceiptView) (athletehandler.ErasuresView, error) {
			d.issued = append(d.issued, issued)
			if len(d.erasures) == 0 {
				return athletehandler.ErasuresView{}, d.erasuresErr
			}
			return d.erasures[min(len(d.issued), len(d.erasures))-1], d.erasuresErr
		},
		gathering: func(context.Context) (*gathering.StatusView, error) { return d.gathering, nil },
		reconcile: func(context.Context) error {
			d.reconciled++
			return d.reconcileErr
		},
		stage: func() string { return "dev" },
		now:   func() time.Time { return time.Unix(0, 0).Add(d.slept) },
		sleep: func(ctx context.Context, pause time.Duration) error {
			d.slept += pause
			return ctx.Err()
		},
	})
	var out, shown strings.Builder
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(typed))
	cmd.SetOut(&out)
	cmd.SetErr(&shown)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err = cmd.ExecuteContext(t.Context())
	d.shown = shown.String()
	return out.String(), err
}

// answers returns a desk that always gives one response.
func answers(res handler.AdminResponse) *desk {
	return &desk{answer: func(handler.AdminRequest) (handler.AdminResponse, error) { return res, nil }}
}

func athlete(id int64) handler.AthleteView {
	return handler.AthleteView{
		Provider: "strava", AccountID: strconv.FormatInt(id, 10), State: "active", Scopes: []string{"read", "activity:read"},
		Generation: 1_790_000_000_000, SignedInAt: time.UnixMilli(1_790_000_000_000).UTC(),
	}
}

func TestResultsAreTables(t *testing.T) {
	at := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		args []string
		res  handler.AdminResponse
		want string
	}{
		"status": {[]string{"status"}, handler.AdminResponse{Status: &handler.StatusView{
			ClientID: "4711", Subscription: &handler.SubscriptionView{ID: 5, CallbackURL: "https://x/y"},
			Athletes: map[string]int{"degraded": 1, "active": 6, "erased": 2}, Authorized: 7, Capacity: 10,
		}}, "application   client 4711\nsubscription  5\nathletes      7 of 10 authorized\n  active      6\n  degraded    1\n  erased      2\n" +
			"erasures      0 pending, 0 overdue, 0 completed in 7 days\n"},
		"status of nothing": {[]string{"status"}, handler.AdminResponse{Status: &handler.StatusView{Capacity: 1}},
			"application   not set\nsubscription  none\nathletes      0 of 1 authorized\nerasures      0 pending, 0 overdue, 0 completed in 7 days\n"},
		"athletes": {[]string{"athletes"}, handler.AdminResponse{Athletes: []handler.AthleteView{athlete(7)}, NextCursor: "n"},
			"ACCOUNT  PROVIDER  STATE   SIGNED IN   SCOPES\n7        strava    active  2026-09-21  read activity:read\n"},
		"waitlist": {[]string{"waitlist"}, handler.AdminResponse{Waitlist: []handler.WaitlistEntryView{{Contact: "ann@example.com", Since: at}}},
			"SINCE       CONTACT\n2026-11-02  ann@example.com\n"},
		"empty waitlist": {[]string{"waitlist"}, handler.AdminResponse{}, "SINCE  CONTACT\n"},
		"subscription": {[]string{"subscription", "show"}, handler.AdminResponse{Subscription: &handler.SubscriptionView{ID: 5, CallbackURL: "https://x/y"}},
			"ID  CALLBACK\n5   https://x/y\n"},
		"revoke": {[]string{"athlete", "revoke", "7", "--yes"}, handler.AdminResponse{Receipt: "r"}, "ATHLETE  RECEIPT\n7        r\n"},
		"clear":  {[]string{"waitlist", "clear"}, handler.AdminResponse{Ended: 3}, "REMOVED\n3\n"},
		"end":    {[]string{"sessions", "end"}, handler.AdminResponse{Ended: 3}, "ENDED\n3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := answers(c.res).run(t, "", c.args...)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestStatusCountsTheErasuresOfItsReceipts hands the receipts on to the athlete
// plane.
func TestStatusCountsTheErasuresOfItsReceipts(t *testing.T) {
	issued := []handler.ReceiptView{{Receipt: "r", RequestedAt: time.Unix(1, 0)}}
	d := answers(handler.AdminResponse{Status: &handler.StatusView{}, Receipts: issued})
	d.erasures = []athletehandler.ErasuresView{{Pending: 3, Overdue: 1, Completed: 4}}
	out, err := d.run(t, "", "status")
	if err != nil || !strings.Contains(out, "erasures      3 pending, 1 overdue, 4 completed in 7 days\n") {
		t.Errorf("%v: %s", err, out)
	}
	if diff := cmp.Diff([][]handler.ReceiptView{issued}, d.issued); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if out, err := d.run(t, "", "status", "--json"); err != nil || strings.Contains(out, `"receipt`) {
		t.Errorf("%v: receipts are shown: %s", err, out)
	}
	d.erasuresErr = errors.New("boom")
	if _, err := d.run(t, "", "status"); !errors.Is(err, d.erasuresErr) {
		t.Errorf("got %v", err)
	}
}

func TestResultsAreJSONOnRequest(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		res  handler.AdminResponse
		want string
	}{
		"status": {[]string{"status"}, handler.AdminResponse{Status: &handler.StatusView{Athletes: map[string]int{"active": 1}, Authorized: 1, Capacity: 10}},
			`{"client_id":"","subscription":null,"athletes":{"active":1},"authorized":1,"capacity":10,
				"erasures":{"pending":0,"overdue":0,"completed_in_7_days":0}}`},
		"athletes": {[]string{"athletes"}, handler.AdminResponse{Athletes: []handler.AthleteView{athlete(7)}, NextCursor: "n"},
			`{"athletes":[{"provider":"strava","account_id":"7","state":"active","scopes":["read","activity:read"],
				"generation":1790000000000,"signed_in_at":"2026-09-21T14:13:20Z"}],"next_cursor":"n"}`},
		"empty waitlist": {[]string{"waitlist"}, handler.AdminResponse{}, `{"waiting":[]}`},
		"subscription": {[]string{"subscription", "ensure"}, handler.AdminResponse{Subscription: &handler.SubscriptionView{ID: 5, CallbackURL: "https://x/y"}},
			`{"id":5,"callback_url":"https://x/y"}`},
		"revoke": {[]string{"athlete", "revoke", "7", "--yes"}, handler.AdminResponse{Receipt: "r"}, `{"athlete_id":7,"receipt":"r"}`},
		"clear":  {[]string{"waitlist", "clear"}, handler.AdminResponse{}, `{"removed":0}`},
		"end":    {[]string{"sessions", "end"}, handler.AdminResponse{Ended: 3}, `{"ended":3}`},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := answers(c.res).run(t, "", append(c.args, "--json")...)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := errors.Join(json.Unmarshal([]byte(out), &got), json.Unmarshal([]byte(c.want), &want)); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAllPagesOfIdleAthletesAreListed(t *testing.T) {
	d := &desk{answer: func(req handler.AdminRequest) (handler.AdminResponse, error) {
		switch req.Cursor {
		case "":
			return handler.AdminResponse{NextCursor: "2"}, nil // a page without idle athletes
		case "2":
			return handler.AdminResponse{Athletes: []handler.AthleteView{athlete(7)}, NextCursor: "3"}, nil
		}
		return handler.AdminResponse{Athletes: []handler.AthleteView{athlete(8)}}, nil
	}}
	out, err := d.run(t, "", "athletes", "--idle", "90d")
	if err != nil || strings.Count(out, "\n") != 3 || !strings.Contains(out, "\n7 ") || !strings.Contains(out, "\n8 ") {
		t.Errorf("%v:\n%s", err, out)
	}
	for i, req := range d.requests {
		if req.Action != handler.ActionAthletes || req.IdleDays != 90 || req.Provider != "strava" || req.Cursor != []string{"", "2", "3"}[i] {
			t.Errorf("request %d: %+v", i, req)
		}
	}
}

func TestSessionsOfAllPagesAreEnded(t *testing.T) {
	d := &desk{answer: func(req handler.AdminRequest) (handler.AdminResponse, error) {
		if req.Cursor == "" {
			return handler.AdminResponse{Ended: 1000, NextCursor: "2"}, nil
		}
		return handler.AdminResponse{Ended: 7}, nil
	}}
	out, err := d.run(t, "", "sessions", "end")
	if err != nil || out != "ENDED\n1007\n" {
		t.Errorf("%v: %q", err, out)
	}
	want := []handler.AdminRequest{{Action: handler.ActionEndSessions}, {Action: handler.ActionEndSessions, Cursor: "2"}}
	if diff := cmp.Diff(want, d.requests); diff != "" {
		t.Error(diff)
	}
}

func TestRevokeAsksForConfirmation(t *testing.T) {
	for _, c := range []struct {
		typed string
		args  []string
		done  bool
	}{
		{"7\n", nil, true},
		{"7", nil, true},
		{"8\n", nil, false},
		{"yes\n", nil, false},
		{"", nil, false},
		{"", []string{"--yes"}, true},
	} {
		d := answers(handler.AdminResponse{Receipt: "r"})
		_, err := d.run(t, c.typed, append([]string{"athlete", "revoke", "7"}, c.args...)...)
		if (err == nil) != c.done || (len(d.requests) == 1) != c.done {
			t.Errorf("%q %v: %v, %+v", c.typed, c.args, err, d.requests)
		}
		if c.done {
			want := handler.AdminRequest{Action: handler.ActionRevokeAthlete, AthleteID: 7}
			if diff := cmp.Diff(want, d.requests[0]); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestCommandsSendTheirRequests(t *testing.T) {
	for _, c := range []struct {
		typed, args string
		want        handler.AdminRequest
	}{
		{"hunter2\n", "app set --client-id 4711", handler.AdminRequest{Action: handler.ActionSetApp, Provider: "strava", ClientID: "4711", ClientSecret: "hunter2"}},
		{"hunter2\n", "app set --provider fitbit --client-id 22942C", handler.AdminRequest{Action: handler.ActionSetApp, Provider: "fitbit", ClientID: "22942C", ClientSecret: "hunter2"}},
		{"hunter2\nverify\n", "app set --client-id 4711", handler.AdminRequest{Action: handler.ActionSetApp, Provider: "strava", ClientID: "4711", ClientSecret: "hunter2", VerifyToken: "verify"}},
		{"", "subscription ensure", handler.AdminRequest{Action: handler.ActionEnsureSubscription}},
		{"", "subscription ensure --replace", handler.AdminRequest{Action: handler.ActionEnsureSubscription, Replace: true}},
		{"", "subscription delete", handler.AdminRequest{Action: handler.ActionDeleteSubscription}},
		{"", "athletes --cursor c --limit 9", handler.AdminRequest{Action: handler.ActionAthletes, Provider: "strava", Cursor: "c", Limit: 9}},
		{"", "waitlist clear", handler.AdminRequest{Action: handler.ActionClearWaitlist}},
		{"", "waitlist remove ann@example.com", handler.AdminRequest{Action: handler.ActionRemoveFromWaitlist, Contact: "ann@example.com"}},
	} {
		d := &desk{}
		if _, err := d.run(t, c.typed, strings.Fields(c.args)...); err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		if diff := cmp.Diff([]handler.AdminRequest{c.want}, d.requests); diff != "" {
			t.Error(c.args, diff)
		}
	}
}

func TestBadInputIsRefusedWithoutARequest(t *testing.T) {
	for args, want := range map[string]string{
		"athletes --idle 3weeks":         `--idle must be a number of days such as 90d, not "3weeks"`,
		"athletes --idle 0d":             "--idle must be a number of days",
		"athletes --idle -1d":            "--idle must be a number of days",
		"athletes --idle 90d --cursor c": "none of the others can be",
		"athlete revoke":                 "accepts 1 arg",
		"athlete revoke 1 2":             "accepts 1 arg",
		"athlete revoke ann --yes":       `"ann" is not an athlete's id`,
		"athlete revoke 0 --yes":         `"0" is not an athlete's id`,
		"waitlist remove":                "accepts 1 arg",
		"app set":                        `required flag(s) "client-id"`,
		"app set --client-id 4711":       "the client secret is missing",
		"status now":                     "unknown command",
	} {
		d := &desk{}
		_, err := d.run(t, "", strings.Fields(args)...)
		if err == nil || !strings.Contains(err.Error(), want) || len(d.requests) != 0 {
			t.Errorf("%s: %v, %d requests", args, err, len(d.requests))
		}
	}
}

func TestErrorsOfTheFunctionAreReturned(t *testing.T) {
	boom := errors.New("athlete 7 is not connected")
	d := &desk{answer: func(handler.AdminRequest) (handler.AdminResponse, error) { return handler.AdminResponse{}, boom }}
	for _, args := range []string{
		"athlete revoke 7 --yes", "athletes", "athletes --idle 90d", "waitlist", "waitlist remove a@b.example", "waitlist clear", "sessions end", "status", "subscription show",
	} {
		if out, err := d.run(t, "", strings.Fields(args)...); !errors.Is(err, boom) || out != "" {
			t.Errorf("%s: %v, %q", args, err, out)
		}
	}
	if _, err := (&desk{}).run(t, "", "status"); err == nil {
		t.Error("an answer without a status was accepted")
	}
}

func TestAccountsOfAnotherProviderAreListed(t *testing.T) {
	d := answers(handler.AdminResponse{Athletes: []handler.AthleteView{{Provider: "fitbit", AccountID: "GGNJL9", State: "active"}}})
	out, err := d.run(t, "", "athletes", "--provider", "fitbit", "--cursor", "c")
	if err != nil || !strings.Contains(out, "\nGGNJL9   fitbit ") {
		t.Errorf("%v:\n%s", err, out)
	}
	if want := (handler.AdminRequest{Action: handler.ActionAthletes, Provider: "fitbit", Cursor: "c", Limit: 50}); len(d.requests) != 1 || d.requests[0] != want {
		t.Errorf("asked %+v", d.requests)
	}
}

func TestStatusShowsGathering(t *testing.T) {
	at := time.Date(2026, 11, 2, 3, 15, 0, 0, time.UTC)
	d := answers(handler.AdminResponse{Status: &handler.StatusView{Capacity: 1}})
	d.gathering = &gathering.StatusView{
		Quarter: gathering.WindowView{Limit: 100, Used: 7, Resets: at}, Day: gathering.WindowView{Limit: 1000, Used: 70, Resets: at.Add(time.Hour)},
		RateLimited: 1, ExternalUsageAt: &at, Paused: &gathering.PauseView{Reason: "rate_limit", Until: at}, PausedSince: &at, PausesToday: 3,
		Classes: map[string]gathering.ClassView{"webhook": {
			Waiting: 3, WaitingSince: &at, CallsToday: 5, CallsYesterday: 6, ReserveQuarter: 8, ReserveDay: 9, Refused: true,
		}},
		Webhook: gathering.WebhookView{SubscriptionID: 5, LastSeen: &at, EventsToday: 12, EventsYesterday: 340, Gap: &gathering.GapView{From: at, To: at.Add(time.Hour), Planned: true}},
	}
	got, err := d.run(t, "", "status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"calls, quarter hour  7 of 100 used, resets 2026-11-02 03:15 UTC\n",
		"calls, day           70 of 1000 used, resets 2026-11-02 04:15 UTC\n",
		"refused today        1 for the rate limit\n",
		"other clients        last seen 2026-11-02 03:15 UTC\n",
		"paused               for rate_limit until 2026-11-02 03:15 UTC\n",
		"no answer            Strava has answered no call since 2026-11-02 03:15 UTC\n",
		"pauses today         3\n",
		"  webhook            3 waiting since 2026-11-02 03:15 UTC, for the quota; 5 calls today, 6 yesterday; 8 reserved in the quarter hour, 9 in the day\n",
		"  spare              0 waiting; 0 calls today, 0 yesterday\n",
		"webhook events       12 today, 340 yesterday\n",
		"webhooks             last seen 2026-11-02 03:15 UTC\n",
		"gap in webhooks      2026-11-02 03:15 UTC to 2026-11-02 04:15 UTC\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("there is no line %q in\n%s", line, got)
		}
	}
	if got, err = d.run(t, "", "status", "--json"); err != nil || !strings.Contains(got, `"rate_limited_today": 1`) || !strings.Contains(got, `"capacity": 1`) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestStatusNamesTheRemedyForTheWebhook(t *testing.T) {
	at := time.Date(2026, 11, 2, 3, 15, 0, 0, time.UTC)
	later := at.Add(time.Hour)
	d := answers(handler.AdminResponse{Status: &handler.StatusView{Capacity: 1}})
	status := func(callback, subscription *gathering.HealthView) string {
		t.Helper()
		d.gathering = &gathering.StatusView{Webhook: gathering.WebhookView{Callback: callback, Subscription: subscription}}
		got, err := d.run(t, "", "status")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	well := &gathering.HealthView{HealthyAt: at}
	if got := status(well, well); strings.Contains(got, "failing") || strings.Contains(got, "ensure") {
		t.Errorf("all is well, and yet:\n%s", got)
	}
	for failure, want := range map[string]string{
		"missing":   "the push subscription is missing at Strava; run `paceline admin subscription ensure`\n",
		"elsewhere": "another callback URL; run `paceline admin subscription ensure`, which names the host\n",
		"replaced":  "replaced by another program; run `paceline admin subscription ensure`\n",
	} {
		got := status(
			&gathering.HealthView{HealthyAt: at, FailingSince: &later, Failure: "the callback answered with status 502"},
			&gathering.HealthView{HealthyAt: later, FailingSince: &later, Failure: failure},
		)
		for _, line := range []string{
			"  callback           last well 2026-11-02 03:15 UTC\n",
			"failing since 2026-11-02 04:15 UTC: the callback answered with status 502\n",
			"  subscription       last well 2026-11-02 04:15 UTC\n",
			want,
		} {
			if !strings.Contains(got, line) {
				t.Errorf("%s: there is no %q in\n%s", failure, line, got)
			}
		}
	}
}
