package gathering_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	vendor "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/strava"
)

// unlistable makes lists fail that would hold one of these activities.
func (w *world) unlistable(ids ...int64) {
	w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
		if endpoint(req.Path) == atList && slices.ContainsFunc(ids, func(id int64) bool { return holds(res, id) }) {
			res.Status, res.Body = http.StatusInternalServerError, "{}"
		}
	})
}

func holds(res *credentialsv1.ForwardResponse, id int64) bool {
	return strings.Contains(res.Body, fmt.Sprintf(`"id":%d,`, id))
}

// newest are the ids of the athlete's activities, the newest first.
func (w *world) newest(id int64) (ids []int64) {
	for _, a := range w.truth(id) {
		ids = append(ids, a.ID)
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids
}

// gathered gathers so many athletes and returns the first.
func (w *world) gathered(athletes int) int64 {
	w.t.Helper()
	for i := range athletes {
		w.gather(w.athlete(i))
	}
	return w.athlete(0)
}

func TestAScanThatGivesUpKeepsTheHolesThatItHasPassed(t *testing.T) {
	w := newWorld(t, plenty, histories(650)...)
	id := w.gathered(1)
	ids := w.newest(id)
	w.unlistable(append([]int64{ids[100]}, ids[450:480]...)...)
	w.pass(4 * 24 * time.Hour)
	if w.completed(id) < 2 {
		t.Fatal("no scan gave up")
	}
	if n := len(w.plane(id)); n != 650 {
		t.Errorf("%d of 650 activities are left", n)
	}
}

func TestAnUnlistableActivityThatStartsWithItsNeighbourIsKept(t *testing.T) {
	for name, neighbour := range map[string]int{"newer": 9, "older": 10} {
		w := newWorld(t, plenty, histories(29)...)
		id := w.athlete(0)
		list := w.truth(id)
		slices.SortFunc(list, func(a, b strava.Activity) int { return b.Start.Compare(a.Start) })
		hidden := w.add(id, strava.NewActivity{Start: list[neighbour].Start})
		w.gather(id)
		w.unlistable(hidden)
		w.pass(4 * 24 * time.Hour)
		if w.completed(id) < 2 {
			t.Fatal("there was no other scan")
		}
		if n := len(w.plane(id)); n != 30 {
			t.Errorf("%s neighbour: %d of 30 activities are left", name, n)
		}
	}
}

func TestAListWithoutAnEndIsNotReadForEver(t *testing.T) {
	for name, tc := range map[string]struct {
		ask    func(*credentialsv1.ForwardRequest)
		answer func(credentialsv1.ForwardRequest, *credentialsv1.ForwardResponse)
	}{
		"the page number is ignored":       {ask: func(req *credentialsv1.ForwardRequest) { req.Query["page"] = "1" }},
		"every page holds an empty object": {answer: func(_ credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) { res.Body = "[{}]" }},
		"pages after the end hold an empty object": {answer: func(_ credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
			if res.Body == "[]" {
				res.Body = "[{}]"
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plenty, histories(450)...)
			id := w.gathered(1)
			w.gatherer.Strava = vendor.New(func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
				list := endpoint(req.Path) == atList
				if list && tc.ask != nil {
					tc.ask(&req)
				}
				res, err := w.forward(ctx, req)
				if list && tc.answer != nil {
					tc.answer(req, &res)
				}
				return res, err
			}, w.clock.Now)
			before := w.lists(id)
			w.pass(3 * 24 * time.Hour)
			if n := w.lists(id) - before; n > 3*60 {
				t.Errorf("%d list calls in three days", n)
			}
			if n := len(w.plane(id)); n != 450 {
				t.Errorf("%d of 450 activities are left", n)
			}
		})
	}
}

func TestAHintThatWaitsDoesNotHoldUpARequest(t *testing.T) {
	w := newWorld(t, plenty, histories(10, 10)...)
	id := w.gathered(2)
	ids := w.newest(id)
	w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
		if strings.HasSuffix(req.Path, fmt.Sprint("/", ids[3])) {
			res.Status, res.Body = http.StatusInternalServerError, "{}"
		}
	})
	w.receive(w.event(id, ids[3], gathering.AspectUpdate))
	w.pass(time.Hour)
	if wait := w.inbox(id).Job.Due.Sub(w.clock.Now()); wait < 10*time.Minute {
		t.Fatalf("the hint waits for %s only", wait)
	}
	lists, rereads := w.lists(id), w.rereads(id)
	if err := w.authorizations.RequestGather(t.Context(), authorization(id, generation)); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	if w.lists(id) == lists {
		t.Error("the newest activities were not listed for the athlete within a minute")
	}
	if err := w.authorizations.Recheck(t.Context(), authorization(id, generation), w.stored(id).Scan.ID, ids[5:7]); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Minute)
	if n := w.rereads(id) - rereads; n < 2 {
		t.Errorf("%d of 2 activities were looked for within a minute", n)
	}
}

func TestAQuestionThatArrivesWhileAnotherIsAnsweredIsKept(t *testing.T) {
	w := newWorld(t, plenty, histories(10)...)
	id := w.gathered(1)
	ids := w.newest(id)
	if err := w.authorizations.Recheck(t.Context(), authorization(id, generation), w.stored(id).Scan.ID, ids[:1]); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Second)
	w.stepping(time.Second)() // The activity is seen, so the scan was wrong.
	if !w.inbox(id).Question.Seen {
		t.Fatalf("the first question is not answered: %+v", w.inbox(id))
	}
	asked := false
	w.gatherer.Athletes = afterUpdate{w.store, func() {
		if asked {
			return
		}
		asked = true
		if err := w.authorizations.Recheck(t.Context(), authorization(id, generation), w.stored(id).Scan.ID, ids[1:2]); err != nil {
			t.Fatal(err)
		}
	}}
	w.stepping(time.Second)()
	if q := w.inbox(id).Question; !asked || q.ScanID != w.stored(id).Scan.ID {
		t.Errorf("asked %v, the question is %+v", asked, q)
	}
}

// afterUpdate calls a function after each change.
type afterUpdate struct {
	gathering.Athletes
	call func()
}

func (s afterUpdate) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	a, err := s.Athletes.Update(ctx, id, change)
	s.call()
	return a, err
}

// sickStore cannot change the scans of some athletes.
type sickStore struct {
	gathering.Athletes
	sick []int64
	err  error
}

func (s sickStore) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	if slices.Contains(s.sick, id) {
		return gathering.Athlete{}, s.err
	}
	return s.Athletes.Update(ctx, id, change)
}

func TestAnAthleteWhoCannotBeReadStopsNoOther(t *testing.T) {
	for name, tc := range map[string]struct {
		sick int
		err  error
	}{
		"one, a transient fault":  {1, fault.New(fault.Transient, "get item: throttled")},
		"four, a permanent fault": {4, fault.New(fault.Permanent, "read item: it cannot be understood")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plenty, histories(10, 10, 10, 10, 10, 10)...)
			w.gathered(5)
			healthy, newcomer := w.athlete(4), w.athlete(5)
			store := sickStore{Athletes: w.store, err: tc.err}
			for i := range tc.sick {
				store.sick = append(store.sick, w.athlete(i))
			}
			w.gatherer.Athletes = store
			w.clock.Advance(5 * 24 * time.Hour) // Their scans have to be moved to another class by now.
			w.begin(newcomer)
			for range 10 {
				w.clock.Advance(time.Minute)
				if _, err := w.gatherer.Run(t.Context(), w.clock.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			if w.completed(newcomer) == 0 || w.completed(healthy) < 2 {
				t.Errorf("%d scans of the newcomer and %d of the other are complete", w.completed(newcomer), w.completed(healthy))
			}
			if w.metrics.Of(metric.Failed) == 0 {
				t.Error("no failure was counted")
			}
		})
	}
}

func TestAListThatStaysWrongCostsFewCalls(t *testing.T) {
	w := newWorld(t, plenty, histories(2000)...)
	id := w.gathered(1)
	var missing []int64
	for i, a := range w.newest(id) {
		if i%15 == 7 {
			missing = append(missing, a)
		}
	}
	w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
		if endpoint(req.Path) == atList {
			res.Body = without(t, res.Body, missing)
		}
	})
	w.pass(2 * 24 * time.Hour) // At first the scans are repeated with smaller pages.
	before := w.lists(id) + w.rereads(id)
	w.pass(3 * 24 * time.Hour)
	if n := w.lists(id) + w.rereads(id) - before; n > 3*60 || n == 0 {
		t.Errorf("%d calls in three days", n)
	}
	if n := len(w.plane(id)); n != 2000 {
		t.Errorf("%d of 2000 activities are left", n)
	}
}

// without takes activities out of a list.
func without(t *testing.T, body string, ids []int64) string {
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(slices.DeleteFunc(list, func(entry json.RawMessage) bool {
		var a struct {
			ID int64 `json:"id"`
		}
		return json.Unmarshal(entry, &a) == nil && slices.Contains(ids, a.ID)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestAnUnreadableEndIsNoHoleOfAnotherStretch(t *testing.T) {
	w := newWorld(t, plenty, histories(30)...)
	id := w.gathered(1)
	ids := w.newest(id)
	flaky := true
	w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
		if endpoint(req.Path) != atList {
			return
		}
		if holds(res, ids[10]) && flaky {
			if req.Query["per_page"] == "1" {
				flaky = false // It was an outage.
			}
			res.Status, res.Body = http.StatusInternalServerError, "{}"
			return
		}
		// The oldest one lacks its start.
		if i := strings.Index(res.Body, fmt.Sprintf(`"id":%d,`, ids[29])); i >= 0 {
			res.Body = res.Body[:i] + strings.Replace(res.Body[i:], `"start_date":"`, `"start_date":"un`, 1)
		}
	})
	w.pass(3 * 24 * time.Hour)
	if w.completed(id) < 2 {
		t.Fatal("no scan is complete")
	}
	if n := len(w.plane(id)); n != 30 {
		t.Errorf("%d of 30 activities are left", n)
	}
}

func TestAHoleHidesNoneThatStravaShows(t *testing.T) {
	w := newWorld(t, plenty, histories(30)...)
	id := w.gathered(1)
	ids := w.newest(id)
	flaky := true
	w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
		if endpoint(req.Path) != atList {
			return
		}
		if holds(res, ids[10]) || holds(res, ids[11]) && flaky {
			res.Status, res.Body = http.StatusInternalServerError, "{}"
		}
	})
	w.pass(3 * 24 * time.Hour)
	flaky = false
	w.pass(6 * 24 * time.Hour)
	if n := len(w.plane(id)); n != 30 {
		t.Errorf("%d of 30 activities are left", n)
	}
	for _, i := range []int{9, 11, 12} {
		r := w.planes.held[id][ids[i]]
		if age := w.clock.Now().Sub(r.at); age > 5*24*time.Hour {
			t.Errorf("activity %d was read %s ago", i, age)
		}
	}
}
