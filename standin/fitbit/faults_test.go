package fitbit_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/fitbit"
)

func (w *world) inject(f fitbit.Fault) {
	w.t.Helper()
	if err := w.Inject(f); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnAnswerReplacesFitbits(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	w.inject(fitbit.Fault{Endpoint: "refresh", Status: 503, Header: map[string]string{"Retry-After": "7"}, Body: "<html>", Count: 2})
	for range 2 {
		if r := w.refresh(p.Refresh); r.status != 503 || r.body != "<html>" || r.header.Get("Retry-After") != "7" {
			t.Errorf("%+v", r)
		}
	}
	w.tokens(w.refresh(p.Refresh)) // the fault rotated nothing and is used up
	if c := w.Counters(); c.DeadRefreshUses[ada] != 0 || c.RepeatedRefreshes[ada] != 0 {
		t.Errorf("%+v", c)
	}
}

func TestFaultsMatchEndpointAndUser(t *testing.T) {
	w := newWorld(t)
	p, other := w.connect(ada), w.connect("26FWFL")
	w.inject(fitbit.Fault{Endpoint: "api", User: ada, Status: 500, Count: -1})
	for range 2 {
		if w.accepts(p.Access) {
			t.Error("the fault did not happen")
		}
	}
	if !w.accepts(other.Access) {
		t.Error("it happened to another user")
	}
	p = w.tokens(w.refresh(p.Refresh))
	w.ClearFaults()
	if !w.accepts(p.Access) || len(w.Faults()) != 0 {
		t.Error("it happened after it was cleared")
	}
	w.inject(fitbit.Fault{Status: 418})
	if r := w.authorize(w.authorization()); r.status != 418 {
		t.Errorf("a fault of any endpoint: status %d", r.status)
	}
}

// lost makes a call that gets no response.
func (w *world) lost(ctx context.Context, refresh string) {
	w.t.Helper()
	r := request(http.MethodPost, "/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	r.SetBasicAuth(w.Client())
	res, err := w.client.Do(r.WithContext(ctx))
	if err == nil {
		res.Body.Close()
		w.t.Fatalf("status %d", res.StatusCode)
	}
}

func TestADropTakesEffectAndAResetDoesNot(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	w.inject(fitbit.Fault{Endpoint: "refresh", Kind: fitbit.FaultReset})
	w.lost(t.Context(), p.Refresh)
	w.clock.Advance(3 * time.Minute)
	p = w.tokens(w.refresh(p.Refresh))
	w.inject(fitbit.Fault{Endpoint: "refresh", Kind: fitbit.FaultDrop})
	w.lost(t.Context(), p.Refresh)
	w.clock.Advance(3 * time.Minute)
	w.want("after a lost answer", w.refresh(p.Refresh), 400, "invalid_grant")
	if got := w.Counters(); !slices.Contains(got.Calls, fitbit.Calls{Endpoint: "refresh", User: ada, Status: 0, Count: 2}) {
		t.Errorf("%+v", got.Calls)
	}
}

func TestAHangEndsWithItsClientOrTheStandIn(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	server := httptest.NewServer(w)
	defer server.Close()
	w.inject(fitbit.Fault{Kind: fitbit.FaultHang, Count: -1})
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	go func() {
		for w.Counters().MaxRefreshesInFlight[ada] == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel(left)
	}()
	w.lost(ctx, p.Refresh)
	if !errors.Is(context.Cause(ctx), left) {
		t.Error("the call did not hang")
	}
	answered := make(chan error, 1)
	go func() {
		_, err := http.Get(server.URL + profile) //nolint:bodyclose // there is no response
		answered <- err
	}()
	w.Close()
	if err := <-answered; err == nil {
		t.Error("a call that hung got a response")
	}
	w.ClearFaults()
	if !w.accepts(p.Access) {
		t.Error("a hang had an effect")
	}
}

func TestRefreshesInFlightAreCounted(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	w.inject(fitbit.Fault{Endpoint: "refresh", Kind: fitbit.FaultHang, Count: 2})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	for range 2 {
		go func() {
			w.lost(ctx, p.Refresh)
			done <- struct{}{}
		}()
	}
	for w.Counters().MaxRefreshesInFlight[ada] != 2 { // until both hang
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	<-done
	w.tokens(w.refresh(p.Refresh))
	w.ResetCounters()
	w.refresh(p.Refresh)
	if got := w.Counters().MaxRefreshesInFlight[ada]; got != 1 {
		t.Errorf("%d in flight after they ended", got)
	}
}

func TestADelayPassesFirst(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	w.inject(fitbit.Fault{Endpoint: "refresh", DelayMilliseconds: 3_600_000})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for w.Counters().MaxRefreshesInFlight[ada] == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	w.lost(ctx, p.Refresh)
	w.inject(fitbit.Fault{DelayMilliseconds: 1})
	if !w.accepts(p.Access) {
		t.Error("a delay made the call fail")
	}
}

func TestInvalidFaultsAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, f := range []fitbit.Fault{
		{Endpoint: "webhook", Status: 500}, {Kind: "explode"}, {Status: 99}, {Status: 600}, {Kind: fitbit.FaultAnswer},
		{Kind: fitbit.FaultHang, Status: 500}, {Kind: fitbit.FaultDrop, Body: "x"}, {DelayMilliseconds: -1},
	} {
		if err := w.Inject(f); !errors.Is(err, fitbit.ErrInvalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	if len(w.Faults()) != 0 {
		t.Error("an invalid fault was accepted")
	}
}
