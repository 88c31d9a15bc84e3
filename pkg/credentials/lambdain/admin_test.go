package lambdain_test

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
	"github.com/paceline/paceline/pkg/credentials/lambdain"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/kit/boot"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestAdmin(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	store, room := credentialstest.NewStore(), &credentialstest.WaitlistStore{}
	waitlist := &credentials.Waitlist{
		Store: room, Forms: store, Capacity: &credentials.Capacity{Census: store, Now: clock}, NewSecret: boot.NewSecret, Now: clock,
	}
	vault := credentialstest.NewVault()
	if _, err := vault.SaveTokens(t.Context(), credentials.Athlete(7), 1, credentials.TokenPair{}); err != nil { // for clear_stage to delete
		t.Fatal(err)
	}
	sessions := &credentials.Sessions{Store: credentialstest.NewCredentials(store), NewSecret: boot.NewSecret, Now: clock}
	var log bytes.Buffer
	admin := &lambdain.Admin{
		Service: &credentials.Admin{
			Ledger:   credentials.Ledger{Grants: store, Minter: event.Minter{Now: clock, NewID: boot.NewSecret}},
			Erasures: store, Vault: vault, Parameters: vault, Waitlist: waitlist, Sessions: sessions, Capacity: 10, Providers: []string{"strava", "fitbit"},
			NewSecret: func() string { return "receipt" },
		},
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	for id, at := range map[int64]time.Time{7: ago(100), 8: ago(1)} {
		if _, err := store.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) error {
			g.State, g.Tokens, g.Generation = credentials.Active, credentials.TokenRef{Version: 1}, at.UnixMilli()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Update(t.Context(), credentials.Account{Provider: "fitbit", ID: "GGNJL9"}, func(g *credentials.Grant) error {
		g.State = credentials.Active
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for receipt, at := range map[string]time.Time{"new": now, "late": now.Add(-time.Hour)} {
		if err := store.Open(t.Context(), credentials.Erasure{Receipt: receipt, RequestedAt: at}); err != nil {
			t.Fatal(err)
		}
	}
	form, _, err := waitlist.Issue(t.Context(), credentials.NoPlaceHere)
	if err != nil {
		t.Fatal(err)
	}
	if err := waitlist.Join(t.Context(), form, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := sessions.Open(t.Context(), credentials.Session{AthleteID: 8, Generation: ago(1).UnixMilli()}); err != nil {
			t.Fatal(err)
		}
	}
	view := func(id int64, at time.Time) lambdain.AthleteView {
		return lambdain.AthleteView{Provider: "strava", AccountID: strconv.FormatInt(id, 10), State: "active", Generation: at.UnixMilli(), SignedInAt: at}
	}

	for _, c := range []struct {
		req  lambdain.AdminRequest
		want lambdain.AdminResponse
		kind fault.Kind
	}{
		{req: lambdain.AdminRequest{Action: lambdain.ActionStatus}, want: lambdain.AdminResponse{Status: &lambdain.StatusView{
			Athletes: map[string]int{"active": 2}, Authorized: 2, Capacity: 10, Erasures: lambdain.ErasuresView{Pending: 2, Overdue: 1},
		}}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes}, want: lambdain.AdminResponse{
			Athletes: []lambdain.AthleteView{view(7, ago(100)), view(8, ago(1))},
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes, Limit: 1}, want: lambdain.AdminResponse{
			Athletes: []lambdain.AthleteView{view(7, ago(100))}, NextCursor: "strava/7",
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes, Limit: 1, Cursor: "strava/7", IdleDays: 90}, want: lambdain.AdminResponse{
			Athletes: []lambdain.AthleteView{},
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes, IdleDays: 90}, want: lambdain.AdminResponse{
			Athletes: []lambdain.AthleteView{view(7, ago(100))},
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes, Provider: "fitbit"}, want: lambdain.AdminResponse{
			Athletes: []lambdain.AthleteView{{Provider: "fitbit", AccountID: "GGNJL9", State: "active", SignedInAt: time.UnixMilli(0).UTC()}},
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes, Provider: "garmin"}, kind: fault.Invalid},
		{req: lambdain.AdminRequest{Action: lambdain.ActionAthletes, IdleDays: -1}, kind: fault.Invalid},
		{req: lambdain.AdminRequest{Action: lambdain.ActionWaitlist}, want: lambdain.AdminResponse{
			Waiting: []lambdain.WaitingView{{Contact: "ann@example.com", Since: now}},
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRemoveWaiting, Contact: "Ann@example.com"}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRemoveWaiting, Contact: "ann@example.com"}, kind: fault.NotFound},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRemoveWaiting}, kind: fault.Invalid},
		{req: lambdain.AdminRequest{Action: lambdain.ActionWaitlist}, want: lambdain.AdminResponse{Waiting: []lambdain.WaitingView{}}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionClearWaiting}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionEndSessions}, want: lambdain.AdminResponse{Ended: 2}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionEndSessions}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRevokeAthlete, AthleteID: 7}, want: lambdain.AdminResponse{Receipt: "receipt"}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRevokeAthlete, AthleteID: 7}, kind: fault.Conflict},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRevokeAthlete}, kind: fault.NotFound},
		{req: lambdain.AdminRequest{Action: lambdain.ActionRevokeAll}, want: lambdain.AdminResponse{
			Ended: 2, Remains: &lambdain.RemainsView{Ending: 3, Erasures: 2}, // one of Fitbit's among them
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionClearStage}, kind: fault.Conflict},
		{req: lambdain.AdminRequest{Action: lambdain.ActionClearStage, Abandon: true}, want: lambdain.AdminResponse{
			Cleared: &lambdain.ClearedView{Parameters: 1, Subscription: "none"},
		}},
		{req: lambdain.AdminRequest{Action: lambdain.ActionClearStage, Abandon: true}, want: lambdain.AdminResponse{
			Cleared: &lambdain.ClearedView{Subscription: "none"},
		}},
		{req: lambdain.AdminRequest{Action: "make_coffee"}, kind: fault.Invalid},
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
