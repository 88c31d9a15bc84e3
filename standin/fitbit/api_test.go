package fitbit_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/fitbit"
)

func TestProfile(t *testing.T) {
	w := newWorld(t)
	var got struct {
		User struct{ EncodedID, DisplayName, MemberSince string }
	}
	r := w.get(profile, w.connect(ada).Access)
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || got.User.EncodedID != ada || got.User.DisplayName != "Ada K." || got.User.MemberSince != "2019-03-02" {
		t.Errorf("status %d, %s", r.status, r.body)
	}
}

func TestDaysDifferByUserAndNeverChange(t *testing.T) {
	w := newWorld(t)
	read := func(path, access string) (d fitbit.Day) {
		t.Helper()
		r := w.get(path, access)
		if err := json.Unmarshal([]byte(r.body), &d); err != nil || r.status != http.StatusOK {
			t.Fatalf("status %d, %s", r.status, r.body)
		}
		return d
	}
	p, other := w.connect(ada), w.connect("26FWFL")
	first := read(day, p.Access)
	if first.Summary.Steps < 2_000 || first.Summary.SedentaryMinutes < 600 || len(first.Summary.Distances) != 7 || first.Goals.Steps != 10_000 || first.Activities == nil {
		t.Errorf("%+v", first)
	}
	if again := read(day, p.Access); again.Summary.Steps != first.Summary.Steps {
		t.Error("the day has changed")
	}
	if known, err := w.Day(ada, "2026-11-21"); err != nil || known.Summary.Steps != first.Summary.Steps {
		t.Errorf("Day has %d steps, %v", known.Summary.Steps, err)
	}
	if theirs := read(day, other.Access); theirs.Summary.Steps == first.Summary.Steps {
		t.Error("two users have the same day")
	}
	if next := read("/1/user/-/activities/date/2026-11-20.json", p.Access); next.Summary.Steps == first.Summary.Steps {
		t.Error("two days are the same")
	}
	if tomorrow := read("/1/user/-/activities/date/2026-11-23.json", p.Access); tomorrow.Summary.Steps != 0 {
		t.Error("tomorrow has steps")
	}
}

func TestAPIRefusals(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada, "activity")
	w.want("no scope for it", w.get(profile, p.Access), 403, "insufficient_scope")
	w.want("no day", w.get("/1/user/-/activities/date/2026-02-30.json", p.Access), 400, "validation")
	w.want("a path that is none", w.get("/1/user/-/sleep.json", p.Access), 404, "not_found")
	w.want("another method", func() reply {
		r := request(http.MethodPost, profile, nil)
		r.Header.Set("Authorization", "Bearer "+p.Access)
		return w.do(r)
	}(), 404, "not_found")
}

func TestEachUserHasARateLimit(t *testing.T) {
	w := newWorld(t) // 40 minutes before the hour, with a limit of 5
	p, other := w.connect(ada), w.connect("26FWFL")
	rate := func(r reply) [3]string {
		return [3]string{r.header.Get("Fitbit-Rate-Limit-Limit"), r.header.Get("Fitbit-Rate-Limit-Remaining"), r.header.Get("Fitbit-Rate-Limit-Reset")}
	}
	if got := rate(w.get(day, p.Access)); got != [3]string{"5", "4", "2400"} {
		t.Errorf("the first call: %v", got)
	}
	for range 4 {
		if !w.accepts(p.Access) {
			t.Fatal("refused too early")
		}
	}
	refused := w.get(day, p.Access)
	w.want("one call too many", refused, 429, "system")
	if got := rate(refused); got != [3]string{"5", "0", "2400"} || refused.header.Get("Retry-After") != "2400" {
		t.Errorf("one call beyond the limit: %v, retry after %s", got, refused.header.Get("Retry-After"))
	}
	if !w.accepts(other.Access) {
		t.Error("one user's calls count for another")
	}
	w.tokens(w.refresh(p.Refresh)) // no limit applies
	if got := rate(w.get(day, "x")); got != [3]string{} {
		t.Errorf("a call without a user: %v", got)
	}
	w.clock.Advance(40*time.Minute - time.Second)
	w.want("a second before the hour", w.get(day, p.Access), 429, "system")
	w.clock.Advance(time.Second)
	if got := rate(w.get(day, p.Access)); got != [3]string{"5", "4", "3600"} {
		t.Errorf("at the hour: %v", got)
	}
}
