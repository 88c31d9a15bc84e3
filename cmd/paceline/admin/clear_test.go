package admin

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	athletehandler "github.com/paceline/paceline/pkg/athlete/handler"
	"github.com/paceline/paceline/pkg/credentials/handler"
)

// clearing answers as the functions of a stage that is being cleared. Each request
// for what remains returns the next of left, and the last one repeatedly.
func clearing(ended int, left ...remains) *desk {
	looks, parameters := 0, []int{200, 3, 0}
	d := &desk{}
	for _, r := range left {
		d.erasures = append(d.erasures, athletehandler.ErasuresView{Pending: r.Erasures, Completed: 7})
	}
	d.answer = func(req handler.AdminRequest) (handler.AdminResponse, error) {
		switch req.Action {
		case handler.ActionRevokeAll:
			res := handler.AdminResponse{Remaining: &left[min(looks, len(left)-1)].RemainingView, Receipts: issued}
			if looks == 0 {
				res.Ended = ended
			}
			looks++
			return res, nil
		case handler.ActionClearStage:
			n := parameters[0]
			parameters = parameters[1:]
			end := "deleted"
			if len(parameters) < 2 {
				end = "none"
			}
			return handler.AdminResponse{Cleared: &handler.ClearedView{Parameters: n, Subscription: end}}, nil
		}
		return handler.AdminResponse{}, errors.New("unexpected action " + req.Action)
	}
	return d
}

// issued are receipts that the admin function knows of.
var issued = []handler.ReceiptView{{Receipt: "r"}}

func ending(n int) remains { return remains{RemainingView: handler.RemainingView{Ending: n}} }

func (d *desk) asked(action string) (n int) {
	for _, req := range d.requests {
		if req.Action == action {
			n++
		}
	}
	return n
}

func TestClearEndsAllThenDeletes(t *testing.T) {
	d := clearing(2, ending(2), ending(2), remains{RemainingView: handler.RemainingView{Ending: 1}, Erasures: 1}, remains{})
	out, err := d.run(t, "", "stage", "clear", "--stage-name", "dev")
	if err != nil {
		t.Fatal(err)
	}
	want := "ended         2 authorizations\nsubscription  deleted\nparameters    203 deleted\n"
	if out != want {
		t.Errorf("got\n%s", out)
	}
	progress := "remaining: 0 in force, 2 ending, 0 erasures pending\n" +
		"remaining: 0 in force, 1 ending, 1 erasures pending\n" +
		"parameters deleted: 200\nparameters deleted: 203\n"
	if d.shown != progress {
		t.Errorf("shown\n%s", d.shown)
	}
	if d.reconciled != 3 || d.asked(handler.ActionRevokeAll) != 4 {
		t.Errorf("reconciled %d times, looked %d times", d.reconciled, d.asked(handler.ActionRevokeAll))
	}
	if i := slices.IndexFunc(d.requests, func(r handler.AdminRequest) bool { return r.Action == handler.ActionClearStage }); i != 4 || d.requests[i].Abandon {
		t.Errorf("requests: %+v", d.requests)
	}
}

// TestClearWaitsForErasuresAlone: no authorization is left, but a boundary has
// not confirmed an erasure yet, or the athlete plane does not know of it yet.
func TestClearWaitsForErasuresAlone(t *testing.T) {
	d := clearing(0, remains{Erasures: 1}, remains{Erasures: 1}, remains{})
	if _, err := d.run(t, "", "stage", "clear", "--stage-name", "dev"); err != nil {
		t.Fatal(err)
	}
	if looks := d.asked(handler.ActionRevokeAll); looks != 3 || !slices.EqualFunc(d.issued, [][]handler.ReceiptView{issued, issued, issued}, slices.Equal) {
		t.Errorf("looked %d times, with the receipts %v", looks, d.issued)
	}
	d = clearing(0, remains{Erasures: 1})
	_, err := d.run(t, "", "stage", "clear", "--stage-name", "dev", "--wait", "5m")
	if err == nil || !strings.Contains(err.Error(), "0 in force, 0 ending, 1 erasures pending") || d.asked(handler.ActionClearStage) != 0 {
		t.Errorf("cleared %d times: %v", d.asked(handler.ActionClearStage), err)
	}
	d = clearing(0, remains{})
	d.erasuresErr = errors.New("boom")
	if _, err := d.run(t, "", "stage", "clear", "--stage-name", "dev"); !errors.Is(err, d.erasuresErr) || d.asked(handler.ActionClearStage) != 0 {
		t.Errorf("erasures that cannot be counted: cleared %d times, %v", d.asked(handler.ActionClearStage), err)
	}
}

func TestClearRefusesWithoutTheStagesName(t *testing.T) {
	for _, c := range []struct {
		typed string
		args  []string
		done  bool
	}{
		{"dev\n", nil, true},
		{"dev", nil, true},
		{"prod\n", nil, false},
		{"yes\n", nil, false},
		{"\n", nil, false},
		{"", nil, false},
		{"", []string{"--stage-name", "dev"}, true},
		{"dev\n", []string{"--stage-name", "prod"}, false},
	} {
		d := clearing(0, remains{})
		_, err := d.run(t, c.typed, append([]string{"stage", "clear"}, c.args...)...)
		if (err == nil) != c.done || (len(d.requests) > 0) != c.done {
			t.Errorf("%q %v: %v, %d requests", c.typed, c.args, err, len(d.requests))
		}
	}
}

func TestClearReportsWhatDoesNotEndAndDeletesNothing(t *testing.T) {
	stuck := remains{handler.RemainingView{Ending: 3, Failing: 2}, 4}
	// A rising count of failures is no progress.
	d := clearing(3, remains{handler.RemainingView{Ending: 3, Failing: 1}, 4}, stuck)
	_, err := d.run(t, "", "stage", "clear", "--stage-name", "dev", "--wait", "5m")
	if err == nil || !strings.Contains(err.Error(), "0 in force, 3 ending (2 failed and are tried again), 4 erasures pending") || !strings.Contains(err.Error(), "--abandon") {
		t.Errorf("got %v", err)
	}
	if d.asked(handler.ActionClearStage) != 0 {
		t.Error("the command deleted something")
	}
	if d.slept.Minutes() != 5 {
		t.Errorf("the command waited for %s", d.slept)
	}

	d = clearing(3, stuck)
	out, err := d.run(t, "", "stage", "clear", "--stage-name", "dev", "--wait", "5m", "--abandon", "--json")
	var got struct {
		Ended        int
		Abandoned    remains
		Subscription string
		Parameters   int
	}
	if err != nil || json.Unmarshal([]byte(out), &got) != nil || got.Abandoned != stuck || got.Ended != 3 || got.Parameters != 203 || got.Subscription != "deleted" {
		t.Errorf("%v: %s", err, out)
	}
	for _, req := range d.requests {
		if req.Abandon != (req.Action == handler.ActionClearStage) {
			t.Errorf("%+v", req)
		}
	}
}

func TestClearGoesOnWhereSettlingCannotBeHurried(t *testing.T) {
	d := clearing(1, ending(1), remains{})
	d.reconcileErr = errors.New("not authorized")
	if _, err := d.run(t, "", "stage", "clear", "--stage-name", "dev"); err != nil || !strings.Contains(d.shown, "every 5 minutes: not authorized") {
		t.Errorf("%v: %s", err, d.shown)
	}
}

func TestClearStopsAtAnErrorOfTheFunction(t *testing.T) {
	boom := errors.New("boom")
	for _, failing := range []string{handler.ActionRevokeAll, handler.ActionClearStage} {
		d := clearing(0, remains{})
		answer := d.answer
		d.answer = func(req handler.AdminRequest) (handler.AdminResponse, error) {
			if req.Action == failing {
				return handler.AdminResponse{}, boom
			}
			return answer(req)
		}
		if out, err := d.run(t, "", "stage", "clear", "--stage-name", "dev"); !errors.Is(err, boom) || out != "" {
			t.Errorf("%s: %v, %q", failing, err, out)
		}
	}
	if _, err := (&desk{}).run(t, "", "stage", "clear", "--stage-name", "dev"); err == nil {
		t.Error("the answer of another version was accepted")
	}
}

func TestSetAppSaysThatItReplacedARegistration(t *testing.T) {
	d := answers(handler.AdminResponse{Replaced: true})
	if _, err := d.run(t, "hunter2\n", "app", "set", "--client-id", "4711"); err != nil || !strings.Contains(d.shown, "subscription ensure") {
		t.Errorf("%v: %q", err, d.shown)
	}
	d = answers(handler.AdminResponse{})
	if _, err := d.run(t, "hunter2\n", "app", "set", "--client-id", "4711"); err != nil || d.shown != "" {
		t.Errorf("%v: %q", err, d.shown)
	}
}
