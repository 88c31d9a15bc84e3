package handler_test

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/credentials/handler"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestAdmin(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	ports, memory := credentialstest.NewPorts(func() time.Time { return now })
	store, vault := memory.Store, memory.Vault
	if _, err := vault.SaveTokens(t.Context(), credentials.Athlete(7), 1, credentials.TokenPair{}); err != nil { // for clear_stage to delete
		t.Fatal(err)
	}
	var log bytes.Buffer
	ports.Log = slog.New(slog.NewTextHandler(&log, nil))
	service, sessions := ports.Admin(), ports.Sessions()
	service.NewSecret = func() string { return "receipt" }
	ports.AthleteCapacity = 0
	waitlist := ports.Waitlist(ports.Capacity())
	service.Waitlist = waitlist
	admin := &handler.Admin{Service: service, Log: ports.Log}
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	for id, at := range map[int64]time.Time{7: ago(100), 8: ago(1)} {
		if _, err := store.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
			g.State, g.Tokens, g.Generation = credentials.Active, credentials.TokenRef{Version: 1}, at.UnixMilli()
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Update(t.Context(), credentials.Account{Provider: "fitbit", ID: "GGNJL9"}, func(g *credentials.Grant) (bool, error) {
		g.State = credentials.Active
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	form, _, err := waitlist.IssueForm(t.Context(), credentials.NoPlaceHere)
	if err != nil {
		t.Fatal(err)
	}
	if err := waitlist.Join(t.Context(), form, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := sessions.Open(t.Context(), credentials.Authorization{AthleteID: 8, Generation: ago(1).UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	view := func(id int64, at time.Time) handler.AthleteView {
		return handler.AthleteView{Provider: "strava", AccountID: strconv.FormatInt(id, 10), State: "active", Generation: at.UnixMilli(), SignedInAt: at}
	}

	for _, c := range []struct {
		req  handler.AdminRequest
		want handler.AdminResponse
		kind fault.Kind
	}{
		{req: handler.AdminRequest{Action: handler.ActionStatus}, want: handler.AdminResponse{Status: &handler.StatusView{
			Athletes: map[string]int{"active": 2}, Authorized: 2, Capacity: 10,
		}}},
		{req: handler.AdminRequest{Action: handler.ActionAthletes}, want: handler.AdminResponse{
			Athletes: []handler.AthleteView{view(7, ago(100)), view(8, ago(1))},
		}},
		{req: handler.AdminRequest{Action: handler.ActionAthletes, Limit: 1}, want: handler.AdminResponse{
			Athletes: []handler.AthleteView{view(7, ago(100))}, NextCursor: "strava/7",
		}},
		{req: handler.AdminRequest{Action: handler.ActionAthletes, Limit: 1, Cursor: "strava/7", IdleDays: 90}, want: handler.AdminResponse{
			Athletes: []handler.AthleteView{},
		}},
		{req: handler.AdminRequest{Action: handler.ActionAthletes, IdleDays: 90}, want: handler.AdminResponse{
			Athletes: []handler.AthleteView{view(7, ago(100))},
		}},
		{req: handler.AdminRequest{Action: handler.ActionAthletes, Provider: "fitbit"}, want: handler.AdminResponse{
			Athletes: []handler.AthleteView{{Provider: "fitbit", AccountID: "GGNJL9", State: "active", SignedInAt: time.UnixMilli(0).UTC()}},
		}},
		{req: handler.AdminRequest{Action: handler.ActionAthletes, Provider: "garmin"}, kind: fault.Invalid},
		{req: handler.AdminRequest{Action: handler.ActionAthletes, IdleDays: -1}, kind: fault.Invalid},
		{req: handler.AdminRequest{Action: handler.ActionWaitlist}, want: handler.AdminResponse{
			Waitlist: []handler.WaitlistEntryView{{Contact: "ann@example.com", Since: now}},
		}},
		{req: handler.AdminRequest{Action: handler.ActionRemoveFromWaitlist, Contact: "Ann@example.com"}},
		{req: handler.AdminRequest{Action: handler.ActionRemoveFromWaitlist, Contact: "ann@example.com"}, kind: fault.NotFound},
		{req: handler.AdminRequest{Action: handler.ActionRemoveFromWaitlist}, kind: fault.Invalid},
		{req: handler.AdminRequest{Action: handler.ActionWaitlist}, want: handler.AdminResponse{Waitlist: []handler.WaitlistEntryView{}}},
		{req: handler.AdminRequest{Action: handler.ActionClearWaitlist}},
		{req: handler.AdminRequest{Action: handler.ActionEndSessions}, want: handler.AdminResponse{Ended: 2}},
		{req: handler.AdminRequest{Action: handler.ActionEndSessions}},
		{req: handler.AdminRequest{Action: handler.ActionRevokeAthlete, AthleteID: 7}, want: handler.AdminResponse{Receipt: "receipt"}},
		{req: handler.AdminRequest{Action: handler.ActionRevokeAthlete, AthleteID: 7}, kind: fault.Conflict},
		{req: handler.AdminRequest{Action: handler.ActionStatus}, want: handler.AdminResponse{
			Status:   &handler.StatusView{Athletes: map[string]int{"active": 1, "revoked": 1}, Authorized: 2, Capacity: 10},
			Receipts: []handler.ReceiptView{{Receipt: "receipt", RequestedAt: now}},
		}},
		{req: handler.AdminRequest{Action: handler.ActionRevokeAthlete}, kind: fault.NotFound},
		{req: handler.AdminRequest{Action: handler.ActionRevokeAll}, want: handler.AdminResponse{
			Ended: 2, Remaining: &handler.RemainingView{Ending: 3}, // one of Fitbit's among them
			Receipts: []handler.ReceiptView{{Receipt: "receipt", RequestedAt: now}, {Receipt: "receipt", RequestedAt: now}, {Receipt: "receipt", RequestedAt: now}},
		}},
		{req: handler.AdminRequest{Action: handler.ActionClearStage}, kind: fault.Conflict},
		{req: handler.AdminRequest{Action: handler.ActionClearStage, Abandon: true}, want: handler.AdminResponse{
			Cleared: &handler.ClearedView{Parameters: 1, Subscription: "none"},
		}},
		{req: handler.AdminRequest{Action: handler.ActionClearStage, Abandon: true}, want: handler.AdminResponse{
			Cleared: &handler.ClearedView{Subscription: "none"},
		}},
		{req: handler.AdminRequest{Action: "make_coffee"}, kind: fault.Invalid},
	} {
		got, err := admin.Handle(t.Context(), c.req)
		if c.kind != "" {
			if !fault.Is(err, c.kind) {
				t.Errorf("%+v: %v", c.req, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", c.req, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%+v: %s", c.req, d)
		}
	}
	if !strings.Contains(log.String(), "athlete_id=7") {
		t.Error("what the admin did is not logged")
	}
	if strings.Contains(log.String(), "example.com") || strings.Contains(log.String(), "receipt") {
		t.Errorf("the log shows too much: %s", log.String())
	}
}
