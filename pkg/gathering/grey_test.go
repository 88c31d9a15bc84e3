package gathering_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/metric"
	vendor "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/standin/strava"
)

// Where a call may fail.
const (
	atList     = strava.EndpointActivities
	atActivity = strava.EndpointActivity
	atProfile  = strava.EndpointAthlete
	atToken    = strava.EndpointRefresh
)

// hang is a call without an answer: the requester gives up after 15 s.
const hang = strava.FaultHang

// greyKinds are the grey failures (ADR 16) that calls to any endpoint may meet.
var greyKinds = []strava.FaultKind{
	strava.Fault502, strava.Fault503, strava.Fault504, strava.Fault597, strava.Fault500,
	strava.Fault200HTML, strava.Fault200Null, strava.Fault200Message, strava.Fault200Empty, strava.Fault200Truncated,
	strava.Fault403HTML, strava.Fault403Other, strava.Fault403, strava.Fault401, strava.Fault429, strava.FaultReset, hang,
}

// pageKinds are the grey failures that only lists may meet.
var pageKinds = []strava.FaultKind{strava.Fault200EmptyList, strava.FaultRepeatedPage, strava.FaultLongPage, strava.Fault404}

// callFault is how calls of some athletes fail.
type callFault struct {
	at      string
	kind    strava.FaultKind
	headers strava.RateHeaders
	athlete int64 // 0 for all athletes
}

func (f callFault) String() string {
	return fmt.Sprintf("%s at %s, headers %s", f.kind, f.at, f.headers)
}

// faultyWorld is a world in which calls for some athletes, the sick ones, fail.
type faultyWorld struct {
	*world
	ids     []int64
	fault   *callFault
	calls   map[int64]int
	renames int
	// firsts is when the first scan of an athlete was complete.
	firsts  map[int64]time.Time
	pending []pendingWebhook
	// waits is how long the webhooks of healthy athletes waited.
	waits []time.Duration
}

// pendingWebhook is a webhook whose change is not published yet.
type pendingWebhook struct {
	athleteID, activityID int64
	name                  string
	at                    time.Time
}

func newFaultyWorld(t *testing.T, settings strava.Settings, sizes ...int) *faultyWorld {
	w := &faultyWorld{world: newWorld(t, settings, histories(sizes...)...), calls: map[int64]int{}, firsts: map[int64]time.Time{}}
	for _, a := range w.strava.Athletes() {
		w.ids = append(w.ids, a.ID)
	}
	w.gatherer.Strava = vendor.New(func(ctx context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		w.calls[req.AthleteID]++
		if f := w.fault; f != nil && (f.athlete == 0 || f.athlete == req.AthleteID) {
			switch {
			case f.at == atToken && f.kind == strava.Fault403:
				return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeApplication}, nil
			case f.at == atToken:
				if f.kind == hang {
					w.clock.Advance(20 * time.Second)
				}
				return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable}, nil
			case f.kind == hang && (f.at == "api" || f.at == endpoint(req.Path)):
				w.clock.Advance(15 * time.Second)
				return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable, Calls: 1}, nil
			}
		}
		return w.forward(ctx, req)
	}, w.clock.Now)
	return w
}

func endpoint(path string) string {
	switch path {
	case "/athlete":
		return atProfile
	case "/athlete/activities":
		return atList
	}
	return atActivity
}

// setFault makes calls fail from now on; nil ends that.
func (w *faultyWorld) setFault(f *callFault) {
	w.t.Helper()
	w.strava.ClearFaults()
	if w.fault = f; f == nil || f.kind == hang || f.at == atToken {
		return
	}
	err := w.strava.Inject(strava.Fault{Endpoint: f.at, Athlete: f.athlete, Kind: f.kind, RateHeaders: f.headers, Count: -1})
	if err != nil {
		w.t.Fatal(err)
	}
}

// edit renames an activity; a webhook says so.
func (w *faultyWorld) edit(id int64) {
	w.t.Helper()
	truth := w.truth(id)
	a := truth[w.renames%len(truth)].ID
	w.renames++
	name := fmt.Sprint("Renamed ", w.renames)
	w.rename(id, a, name)
	n := w.event(id, a, gathering.AspectUpdate)
	n.Updates = map[string]any{"title": name}
	w.receive(n)
	w.pending = append(w.pending, pendingWebhook{id, a, name, w.clock.Now()})
}

// observe notes which changes are published and which first scans are complete.
func (w *faultyWorld) observe() {
	for _, id := range w.ids {
		if w.firsts[id].IsZero() && w.planes.complete[id] {
			w.firsts[id] = w.clock.Now()
		}
	}
	w.pending = slices.DeleteFunc(w.pending, func(p pendingWebhook) bool {
		r := w.planes.held[p.athleteID][p.activityID]
		if r.activity == nil || r.activity.Name != p.name && r.at.Before(p.at) {
			return false
		}
		if w.fault == nil || p.athleteID != w.fault.athlete {
			w.waits = append(w.waits, w.clock.Now().Sub(p.at))
		}
		return true
	})
}

// live lets time pass, in steps to whatever is due next. Every interval the
// next athlete renames an activity.
func (w *faultyWorld) live(d, interval time.Duration, athletes []int64) {
	w.t.Helper()
	end, next := w.clock.Now().Add(d), w.clock.Now().Add(interval)
	for i := 0; w.clock.Now().Before(end); {
		if !w.clock.Now().Before(next) {
			w.edit(athletes[i%len(athletes)])
			i++
			next = next.Add(interval)
		}
		w.work()
		w.observe()
		step := 15 * time.Second // Work that is due waits for the quota.
		if due, ok := w.store.NextDue(); !ok || due.After(w.clock.Now()) {
			step = min(due.Sub(w.clock.Now()), 5*time.Minute)
			if !ok {
				step = 5 * time.Minute
			}
		}
		w.clock.Advance(max(time.Millisecond, min(step, next.Sub(w.clock.Now()), end.Sub(w.clock.Now()))))
	}
	w.work()
	w.observe()
}

// health sums up how the healthy athletes fared.
type health struct {
	scans     int
	newcomer  time.Duration
	oldest    time.Duration
	p50, p99  time.Duration
	refused   int
	unlooked  int
	different int
}

// simulateThreeDays simulates three days of thirty athletes. If there is a
// fault, one of them is sick, and the newcomer right behind is healthy.
func simulateThreeDays(t *testing.T, f *callFault) (h health, sickCalls, quarantined int) {
	sizes := []int{}
	for i := range 30 {
		sizes = append(sizes, 10+13*i%60)
	}
	w := newFaultyWorld(t, strava.Settings{}, sizes...)
	sick, newcomer, others := w.ids[0], w.ids[1], w.ids[2:]
	for _, id := range others {
		w.begin(id)
	}
	w.live(3*time.Hour, 30*time.Minute, others)
	if f != nil {
		if f.at == atActivity || f.at == atProfile {
			w.begin(sick)
			w.live(time.Minute, time.Hour, others)
		}
		ill := *f
		ill.athlete = sick
		w.setFault(&ill)
	}
	w.waits, w.pending, w.calls[sick] = nil, nil, 0
	scans := func() (n int) {
		for _, id := range others {
			n += w.completed(id)
		}
		return n
	}
	before, began := scans(), w.clock.Now()
	if f == nil || f.at != atActivity && f.at != atProfile {
		w.begin(sick)
	}
	w.begin(newcomer)
	w.live(time.Hour, 20*time.Minute, others)
	for range 35 {
		w.edit(sick)
		w.receive(w.event(sick, w.add(sick, strava.NewActivity{}), gathering.AspectCreate))
		w.live(2*time.Hour, 20*time.Minute, others)
	}
	h.scans = scans() - before
	h.newcomer = w.firsts[newcomer].Sub(began)
	for _, id := range append(slices.Clone(others), newcomer) {
		for _, r := range w.planes.held[id] {
			if r.activity != nil {
				h.oldest = max(h.oldest, w.clock.Now().Sub(r.at))
			}
		}
		if w.differs(id) != nil {
			h.different++
		}
	}
	var waits []time.Duration
	for _, p := range w.pending {
		if p.athleteID != sick {
			h.unlooked++
		}
	}
	waits = append(waits, w.waits...)
	slices.Sort(waits)
	h.p50, h.p99 = waits[len(waits)/2], waits[len(waits)*99/100]
	h.refused = w.answers(429)
	return h, w.calls[sick], w.metrics.Of(metric.Quarantined)
}

// TestOneSickAthleteCostsOthersNothing makes the calls for one athlete fail, in
// each of the ways of greyFaults.
func TestOneSickAthleteCostsOthersNothing(t *testing.T) {
	healthy, _, _ := simulateThreeDays(t, nil)
	if healthy.scans < 28 || healthy.different != 0 || healthy.refused != 0 || healthy.p99 > 10*time.Second {
		t.Fatalf("without any fault: %+v", healthy)
	}
	for _, f := range greyFaults() {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			h, calls, quarantined := simulateThreeDays(t, &f)
			if f.kind == strava.Fault429 {
				h.refused = 0 // They were for the sick athlete.
			}
			slack := 2 * time.Second
			if f.kind == hang {
				slack = 90 * time.Second // Few calls are made at once, so that a newcomer waits for some.
			}
			within := func(got, want time.Duration) bool { return got <= want+want/20+2*time.Second }
			if h.scans < healthy.scans*95/100 || h.different != 0 || h.unlooked != 0 || h.refused != 0 ||
				h.newcomer > healthy.newcomer+slack || !within(h.oldest, healthy.oldest+time.Minute) ||
				!within(h.p50, healthy.p50) || !within(h.p99, healthy.p99) {
				t.Errorf("the others: %+v\nwithout a fault: %+v", h, healthy)
			}
			if calls > 3*60 || calls == 0 {
				t.Errorf("%d calls for the sick athlete in three days", calls)
			}
			t.Logf("%d calls for the sick athlete, %d quarantined; %+v", calls, quarantined, h)
		})
	}
}

// greyFaults are all failures at all places, with and without rate headers.
func greyFaults() (out []callFault) {
	for _, kind := range greyKinds {
		for _, at := range []string{atList, atActivity, atProfile} {
			for _, headers := range []strava.RateHeaders{strava.RateHeadersOn, strava.RateHeadersOff} {
				if kind == hang && headers == strava.RateHeadersOn || kind == strava.FaultReset && headers == strava.RateHeadersOn {
					continue // There is no answer to carry them.
				}
				out = append(out, callFault{at: at, kind: kind, headers: headers})
			}
		}
	}
	for _, kind := range pageKinds {
		out = append(out, callFault{at: atList, kind: kind, headers: strava.RateHeadersOn})
	}
	for _, kind := range []strava.FaultKind{strava.Fault502, strava.Fault403, hang} {
		out = append(out, callFault{at: atToken, kind: kind})
	}
	return out
}

// TestOnePageThatIsWrongRemovesNothing spoils each page of a list, and the one
// beyond its end, in every way: once, twice, or always. The scan goes around a
// page that always fails.
func TestOnePageThatIsWrongRemovesNothing(t *testing.T) {
	for _, kind := range append(slices.Clone(greyKinds), pageKinds...) {
		if kind == hang {
			continue // As a reset.
		}
		for page, position := range []string{"first", "second", "third", "last", "beyond"} {
			for _, times := range []int{1, 2, -1} {
				t.Run(fmt.Sprintf("%s, %s page, %d times", kind, position, times), func(t *testing.T) {
					t.Parallel()
					w := newFaultyWorld(t, plenty, 650, 10)
					id := w.ids[0]
					w.gather(id)
					w.gather(w.ids[1])
					w.clock.Advance(20 * time.Hour)
					left := times
					w.bend(func(req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
						if req.AthleteID != id || endpoint(req.Path) != atList || req.Query["page"] != fmt.Sprint(page+1) || req.Query["per_page"] != "200" || left == 0 {
							return
						}
						left--
						w.spoil(kind, req, res)
					})
					for range 6 {
						w.live(12*time.Hour, time.Hour, w.ids[1:])
						if n := len(w.plane(id)); n != 650 {
							t.Fatalf("%d of 650 activities are left", n)
						}
					}
					var oldest time.Duration
					for _, r := range w.planes.held[id] {
						oldest = max(oldest, w.clock.Now().Sub(r.at))
					}
					if n := w.metrics.Of(metric.Quarantined); oldest > 50*time.Hour || w.planes.removed != 0 || n != 0 {
						t.Errorf("the oldest is %s old; %d removed, %d quarantined", oldest, w.planes.removed, n)
					}
				})
			}
		}
	}
}

// spoil makes an answer wrong, as the stand-in does.
func (w *faultyWorld) spoil(kind strava.FaultKind, req credentialsv1.ForwardRequest, res *credentialsv1.ForwardResponse) {
	w.t.Helper()
	if err := w.strava.Inject(strava.Fault{Endpoint: atList, Athlete: req.AthleteID, Kind: kind, Count: 1}); err != nil {
		w.t.Fatal(err)
	}
	// The fault that repeats a page leaves a first page as it is. For a 401 the
	// requester makes two calls.
	spoilt, err := w.forwardOnce(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.strava.ClearFaults()
	if *res = spoilt; res.Status == 401 {
		*res = credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable, Calls: 2}
	}
}

// TestAMassDeletionIsGoneWithinTwoDays: no webhook reports it.
func TestAMassDeletionIsGoneWithinTwoDays(t *testing.T) {
	w := newFaultyWorld(t, strava.Settings{}, 700, 10)
	id := w.ids[0]
	w.gather(id)
	w.gather(w.ids[1])
	for _, a := range w.truth(id)[:500] {
		w.remove(id, a.ID)
	}
	began := w.clock.Now()
	for len(w.plane(id)) != 200 && w.clock.Now().Sub(began) < 48*time.Hour {
		w.live(time.Hour, time.Hour, w.ids[1:])
	}
	if n := len(w.plane(id)); n != 200 {
		t.Errorf("%d of 200 are held after two days", n)
	}
	w.same(id)
}

// TestAllAthletesRecoverFromAnOutage: half an hour after an outage of two hours
// everything is current, and no job is quarantined.
func TestAllAthletesRecoverFromAnOutage(t *testing.T) {
	var faults []callFault
	for _, kind := range greyKinds {
		for _, at := range []string{"api", atToken} {
			if at == atToken && kind != strava.Fault502 && kind != strava.Fault403 {
				continue
			}
			for _, headers := range []strava.RateHeaders{strava.RateHeadersOn, strava.RateHeadersOff} {
				if kind == strava.Fault429 && headers == strava.RateHeadersOn || (kind == hang || kind == strava.FaultReset || at == atToken) && headers == strava.RateHeadersOn {
					continue
				}
				faults = append(faults, callFault{at: at, kind: kind, headers: headers})
			}
		}
	}
	for _, f := range faults {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			sizes := []int{}
			for i := range 30 {
				sizes = append(sizes, 10+13*i%60)
			}
			w := newFaultyWorld(t, strava.Settings{}, sizes...)
			others, newcomers := w.ids[:28], w.ids[28:]
			for _, id := range others {
				w.begin(id)
			}
			w.live(23*time.Hour, time.Hour, others) // The scans are due again in the outage.
			w.setFault(&f)
			before := 0
			for _, n := range w.calls {
				before += n
			}
			for _, id := range newcomers {
				w.begin(id)
			}
			w.live(2*time.Hour, 5*time.Minute, others)
			calls := -before
			for _, n := range w.calls {
				calls += n
			}
			w.setFault(nil)
			for _, id := range w.ids {
				w.add(id, strava.NewActivity{})
			}
			w.live(30*time.Minute, 5*time.Minute, others)
			for _, id := range newcomers {
				if w.completed(id) == 0 {
					t.Errorf("newcomer %d: the history is not complete", id)
				}
			}
			late := slices.DeleteFunc(slices.Clone(w.pending), func(p pendingWebhook) bool { return w.clock.Now().Sub(p.at) < 10*time.Second })
			if len(late) != 0 {
				t.Errorf("%d changes are not published, the first of %s before", len(late), w.clock.Now().Sub(late[0].at))
			}
			if n := w.metrics.Of(metric.Quarantined); n != 0 {
				t.Errorf("%d quarantined", n)
			}
			if calls > 60 {
				t.Errorf("%d calls in an outage of two hours", calls)
			}
			if n := w.answers(429); n != 0 && f.kind != strava.Fault429 {
				t.Errorf("%d calls refused for the rate limit", n)
			}
		})
	}
}
