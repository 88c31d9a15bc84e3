package strava_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

const push = "/api/v3/push_subscriptions"

func TestHandshakeHappensWhileTheCreateCallIsOpen(t *testing.T) {
	w := newWorld(t, strava.Config{})
	created := false
	w.hook.answer = func(rw http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.Method != http.MethodGet || q.Get("hub.mode") != "subscribe" || q.Get("hub.verify_token") != "verify" ||
			len(q.Get("hub.challenge")) < 8 || q.Get("own") != "1" {
			t.Errorf("handshake is %s %s", r.Method, r.URL)
		}
		if created || w.Subscription() != nil {
			t.Error("the handshake came after the subscription")
		}
		// A second create call fails while the first is open.
		second := w.post(push, credentials("callback_url", callback, "verify_token", "verify"))
		second.expect(t, 400, badRequest("PushSubscription", "", "already exists"))
		echo(rw, r)
	}
	r := w.post(push, credentials("callback_url", callback+"?own=1", "verify_token", "verify"))
	created = true
	if r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	id := w.Subscription().ID
	sub := fmt.Sprintf(`{"id":%d,"resource_state":2,"application_id":4711,"callback_url":"%s?own=1","created_at":"2026-11-22T10:00:00Z","updated_at":"2026-11-22T10:00:00Z"}`, id, callback)
	r.expect(t, 201, sub)

	w.get("", push+"?"+credentials().Encode()).expect(t, 200, "["+sub+"]")
	w.post(push, credentials("callback_url", callback, "verify_token", "verify")).
		expect(t, 400, badRequest("PushSubscription", "", "already exists"))

	remove := func(id int64, secret string) reply {
		return w.do(w.request(http.MethodDelete, fmt.Sprintf("%s/%d?client_id=4711&client_secret=%s", push, id, secret), "", nil))
	}
	remove(id, "wrong").expect(t, 400, badRequest("Application", "client_secret", "invalid"))
	if r := remove(id+1, secret); r.status != http.StatusNotFound {
		t.Errorf("deleting an unknown one: %d", r.status)
	}
	remove(id, secret).expect(t, 204, "")
	w.get("", push+"?"+credentials().Encode()).expect(t, 200, "[]")
	// The parameters of a deletion may be in the body.
	w.hook.answer = nil
	next := w.subscribe()
	del := w.request(http.MethodDelete, fmt.Sprintf("%s/%d", push, next.ID), "", strings.NewReader(credentials().Encode()))
	del.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w.do(del).expect(t, 204, "")
}

func redirectOnce(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/elsewhere" {
		echo(w, r)
		return
	}
	http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
}

func TestHandshakeErrors(t *testing.T) {
	notVerifiable := badRequest("PushSubscription", "callback url", "not verifiable")
	not200 := badRequest("PushSubscription", "callback url", "GET to callback URL does not return 200")
	invalid := badRequest("PushSubscription", "callback url", "invalid")
	write := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "CHALLENGE", r.URL.Query().Get("hub.challenge")))
		}
	}
	for _, tc := range []struct {
		name   string
		url    string
		answer http.HandlerFunc
		want   string
	}{
		{"403", callback, write(403, "application/json", `{"hub.challenge":"CHALLENGE"}`), not200},
		{"redirect", callback, redirectOnce, not200},
		{"no connection", callback, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, not200},
		{"too late", callback, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, not200},
		{"other challenge", callback, write(200, "application/json", `{"hub.challenge":"x"}`), notVerifiable},
		{"nested challenge", callback, write(200, "application/json", `{"hub":{"challenge":"CHALLENGE"}}`), notVerifiable},
		{"bare challenge", callback, write(200, "application/json", `CHALLENGE`), notVerifiable},
		{"text", callback, write(200, "text/plain", `{"hub.challenge":"CHALLENGE"}`), notVerifiable},
		{"no address", "", nil, invalid},
		{"no host", "https:///x", nil, invalid},
		{"long address", callback + strings.Repeat("k", 256-len(callback)), nil, invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, strava.Config{CallbackTimeout: 50 * time.Millisecond})
			w.hook.answer = tc.answer
			began := time.Now()
			w.post(push, credentials("callback_url", tc.url, "verify_token", "v")).expect(t, 400, tc.want)
			if took := time.Since(began); took > time.Second {
				t.Errorf("the handshake took %s", took)
			}
			if w.Subscription() != nil {
				t.Error("there is a subscription")
			}
			w.hook.answer = nil
			w.subscribe() // a new subscription is possible
		})
	}
	w := newWorld(t, strava.Config{})
	w.post(push, nil).expect(t, 400, badRequest("Application", "client_id", "invalid"))
	longest := callback + strings.Repeat("k", 255-len(callback))
	if r := w.post(push, credentials("callback_url", longest, "verify_token", "v")); r.status != http.StatusCreated {
		t.Errorf("255 bytes: %d %s", r.status, r.body)
	}
}

func ptr(s string) *string { return &s }

// TestEventsByScopeAndPrivacy checks, for each change, the events that an
// application receives with activity:read_all, with activity:read and with read.
func TestEventsByScopeAndPrivacy(t *testing.T) {
	type change func(w *world, id int64) error
	edit := func(e strava.Edit) change {
		return func(w *world, id int64) error { return w.EditActivity(athlete, id, e) }
	}
	visibility := func(v string) change { return edit(strava.Edit{Visibility: &v}) }
	remove := func(w *world, id int64) error { return w.DeleteActivity(athlete, id) }
	silent := func(w *world, id int64) error {
		return w.SetFields(athlete, id, map[string]json.RawMessage{"distance": []byte("1.5")})
	}
	for _, tc := range []struct {
		name, before  string
		change        change
		readAll, read string
	}{
		{"title", strava.Everyone, edit(strava.Edit{Name: ptr("Messy")}), `update {"title":"Messy"}`, `update {"title":"Messy"}`},
		{"title of a private one", strava.OnlyMe, edit(strava.Edit{Name: ptr("Messy")}), `update {"title":"Messy"}`, ``},
		{"type", strava.FollowersOnly, edit(strava.Edit{SportType: ptr("TrailRun")}), `update {"type":"Run"}`, `update {"type":"Run"}`},
		{"to private", strava.Everyone, visibility(strava.OnlyMe), `update {"private":"true"}`, `delete {}`},
		{"followers to private", strava.FollowersOnly, visibility(strava.OnlyMe), `update {"private":"true"}`, `delete {}`},
		{"from private", strava.OnlyMe, visibility(strava.FollowersOnly), `update {"private":"false"}`, `create {}`},
		{"everyone to followers", strava.Everyone, visibility(strava.FollowersOnly), ``, ``},
		{"followers to everyone", strava.FollowersOnly, visibility(strava.Everyone), ``, ``},
		{"title and privacy", strava.Everyone, edit(strava.Edit{Name: ptr("x"), Visibility: ptr(strava.OnlyMe)}), `update {"private":"true","title":"x"}`, `delete {}`},
		{"distance", strava.Everyone, silent, ``, ``},
		{"deletion", strava.Everyone, remove, `delete {}`, `delete {}`},
		{"deletion of a private one", strava.OnlyMe, remove, `delete {}`, ``},
	} {
		for scope, want := range map[string]string{"read,activity:read,activity:read_all": tc.readAll, "activity:read": tc.read, "read": ""} {
			t.Run(tc.name+" with "+scope, func(t *testing.T) {
				w := newWorld(t, strava.Config{})
				sub := w.subscribe()
				w.connect(athlete, strings.Split(scope, ",")...)
				id := must(w.AddActivity(athlete, strava.NewActivity{Visibility: tc.before}))
				created := len(w.events()) == 1
				if should := want != "" && !strings.HasPrefix(want, "create") || tc.before != strava.OnlyMe && scope != "read"; should && !created {
					t.Error("no create event")
				}
				if err := tc.change(w, id); err != nil {
					t.Fatal(err)
				}
				got := ""
				for _, e := range w.events() {
					if e.ObjectID != id || e.OwnerID != athlete || e.ObjectType != "activity" || e.SubscriptionID != sub.ID || e.EventTime != start.Unix() {
						t.Errorf("event %+v", e)
					}
					got += e.AspectType + " " + string(must(json.Marshal(e.Updates)))
				}
				if got != want {
					t.Errorf("events %s, want %s", got, want)
				}
			})
		}
	}
}

func TestEventBodiesAreAsDocumented(t *testing.T) {
	w := newWorld(t, strava.Config{})
	sub := w.subscribe()
	w.connect(athlete, everyScope...)
	id := must(w.AddActivity(athlete, strava.NewActivity{}))
	if err := w.EditActivity(athlete, id, strava.Edit{Visibility: ptr(strava.OnlyMe)}); err != nil {
		t.Fatal(err)
	}
	if err := w.Deauthorize(athlete); err != nil {
		t.Fatal(err)
	}
	event := func(aspect string, object int64, kind, updates string) string {
		return fmt.Sprintf(`{"aspect_type":"%s","event_time":%d,"object_id":%d,"object_type":"%s","owner_id":%d,"subscription_id":%d,"updates":%s}`,
			aspect, start.Unix(), object, kind, athlete, sub.ID, updates)
	}
	want := []string{
		event("create", id, "activity", `{}`),
		event("update", id, "activity", `{"private":"true"}`),
		event("update", athlete, "athlete", `{"authorized":"false"}`),
	}
	w.events()
	for i, d := range w.Deliveries() {
		if string(d.Event) != want[i] || d.State != "delivered" {
			t.Errorf("%s %s\nwant %s", d.State, d.Event, want[i])
		}
	}
	h := w.hook.header[0]
	if h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("X-Strava-Signature"), fmt.Sprintf("t=%d,v1=", start.Unix())) {
		t.Errorf("header %v", h)
	}
	// After a deauthorization there are no more events.
	must(w.AddActivity(athlete, strava.NewActivity{}))
	if events := w.events(); len(events) != 0 {
		t.Errorf("events %v", events)
	}
}

func TestNoSubscriptionNoEvents(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.connect(athlete, everyScope...)
	must(w.AddActivity(athlete, strava.NewActivity{}))
	if len(w.events()) != 0 || w.Counters().Events["unsubscribed"] != 1 {
		t.Errorf("counters %v", w.Counters().Events)
	}
	if _, err := w.SendWebhook(t.Context(), nil); !errors.Is(err, strava.ErrNotFound) {
		t.Errorf("forging without a subscription: %v", err)
	}
}

func TestDeliveryIsTriedThreeTimes(t *testing.T) {
	for _, tc := range []struct {
		name     string
		failures int
		fail     http.HandlerFunc
		state    string
		attempts []string
	}{
		{"at once", 0, nil, "delivered", []string{"200"}},
		{"second time", 1, status(500), "delivered", []string{"500", "200"}},
		{"third time", 2, status(503), "delivered", []string{"503", "503", "200"}},
		{"never", 9, status(500), "failed", []string{"500", "500", "500"}},
		{"other success is none", 9, status(202), "failed", []string{"202", "202", "202"}},
		{"too late", 1, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "delivered", []string{"timeout", "200"}},
		{"no connection", 1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "delivered", []string{"error", "200"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, strava.Config{
				CallbackTimeout: 50 * time.Millisecond,
				Settings:        strava.Settings{RetryInterval: strava.Duration(time.Minute)},
			})
			w.subscribe()
			w.connect(athlete, everyScope...)
			var bodies []string
			w.hook.answer = func(rw http.ResponseWriter, r *http.Request) {
				bodies = append(bodies, string(must(io.ReadAll(r.Body))))
				if len(bodies) <= tc.failures {
					tc.fail(rw, r)
				}
			}
			must(w.AddActivity(athlete, strava.NewActivity{}))
			w.clock.Advance(0)
			for i := 1; i < len(tc.attempts); i++ {
				w.clock.Advance(time.Minute - time.Nanosecond)
				if len(bodies) != i {
					t.Fatalf("%d attempts before the interval was over, want %d", len(bodies), i)
				}
				w.clock.Advance(time.Nanosecond)
			}
			w.clock.Advance(time.Hour) // no attempt follows the last one
			d := w.Deliveries()[0]
			if d.State != tc.state || !slices.Equal(d.Attempts, tc.attempts) || len(bodies) != len(tc.attempts) {
				t.Errorf("%s after %v, %d posts", d.State, d.Attempts, len(bodies))
			}
			for _, b := range bodies {
				if b != bodies[0] {
					t.Errorf("a retry sent %s, first %s", b, bodies[0])
				}
			}
			if c := w.Counters(); c.Events[tc.state] != 1 || c.Attempts["200"] != strings.Count(strings.Join(tc.attempts, " "), "200") {
				t.Errorf("counters %v %v", c.Events, c.Attempts)
			}
			if err := w.Drain(deadline(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestDeliveryCanBeDuplicatedDelayedHeldAndDropped(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.subscribe()
	w.connect(athlete, everyScope...)
	set := func(change func(*strava.Settings)) {
		t.Helper()
		if err := w.UpdateSettings(change); err != nil {
			t.Fatal(err)
		}
	}
	add := func() int64 { return must(w.AddActivity(athlete, strava.NewActivity{})) }
	arrived := func() (ids []int64) {
		for _, e := range w.events() {
			ids = append(ids, e.ObjectID)
		}
		return ids
	}

	set(func(s *strava.Settings) { s.DeliveryCopies = 2 })
	a := add()
	if got := arrived(); !slices.Equal(got, []int64{a, a}) {
		t.Errorf("two copies: %v", got)
	}
	set(func(s *strava.Settings) {
		s.DeliveryCopies, s.DeliveryDelay = 1, strava.Duration(time.Minute)
	})
	b := add()
	if got := arrived(); len(got) != 0 {
		t.Errorf("before the delay: %v", got)
	}
	w.clock.Advance(time.Minute)
	if got := arrived(); !slices.Equal(got, []int64{b}) {
		t.Errorf("after the delay: %v", got)
	}
	set(func(s *strava.Settings) { s.Delivery, s.DeliveryDelay = strava.DeliverHold, 0 })
	for _, order := range []strava.Order{strava.Forward, strava.Reverse, strava.Shuffle} {
		want := []int64{add(), add(), add(), add(), add(), add(), add(), add()}
		if got := arrived(); len(got) != 0 {
			t.Errorf("held: %v", got)
		}
		if err := w.Release(order); err != nil {
			t.Fatal(err)
		}
		got := arrived()
		if order == strava.Reverse {
			slices.Reverse(got)
		}
		if order == strava.Shuffle {
			if slices.Equal(got, want) {
				t.Error("the shuffled order is the original order")
			}
			slices.Sort(got)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", order, got, want)
		}
	}
	if w.Release("sideways") == nil {
		t.Error("an unknown order was accepted")
	}
	set(func(s *strava.Settings) { s.Delivery = strava.DeliverDrop })
	add()
	set(func(s *strava.Settings) { s.Delivery = strava.DeliverNow })
	c := add()
	if got := arrived(); !slices.Equal(got, []int64{c}) || w.Counters().Events["dropped"] != 1 {
		t.Errorf("after a drop: %v, %v", got, w.Counters().Events)
	}
	if w.UpdateSettings(func(s *strava.Settings) { s.Delivery = "by pigeon" }) == nil || w.Settings().Delivery != strava.DeliverNow {
		t.Error("an unknown delivery was accepted")
	}
}

func TestDeletedSubscriptionGetsNoMoreEvents(t *testing.T) {
	w := newWorld(t, strava.Config{})
	sub := w.subscribe()
	w.connect(athlete, everyScope...)
	w.hook.answer = func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		echo(rw, r)
	}
	must(w.AddActivity(athlete, strava.NewActivity{}))
	w.clock.Advance(0)
	w.do(w.request(http.MethodDelete, fmt.Sprintf("%s/%d?%s", push, sub.ID, credentials().Encode()), "", nil)).expect(t, 204, "")
	w.hook.answer = nil
	next := w.subscribe()
	w.clock.Advance(time.Hour)
	if events := w.events(); len(events) != 0 || next.ID == sub.ID || w.Counters().Events["dropped"] != 1 {
		t.Errorf("events %v", events)
	}
}

func TestForgedWebhookIsSentUnchanged(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.subscribe()
	var got, signature string
	w.hook.answer = func(rw http.ResponseWriter, r *http.Request) {
		got, signature = string(must(io.ReadAll(r.Body))), r.Header.Get("X-Strava-Signature")
		rw.WriteHeader(http.StatusTeapot)
	}
	outcome, err := w.SendWebhook(t.Context(), []byte(`{"not":`))
	if err != nil || outcome != "418" || got != `{"not":` || signature != "" {
		t.Errorf("%s %v: %s %s", outcome, err, got, signature)
	}
}

// TestDeliveryOverRealSockets checks the timeout of callbacks and Drain with the
// system clock: a slow callback does not delay another event.
func TestDeliveryOverRealSockets(t *testing.T) {
	var posts atomic.Int32
	release := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			echo(w, r)
			return
		}
		if posts.Add(1) == 1 {
			<-release
		}
	}))
	defer app.Close()
	s := strava.New(strava.Config{
		ClientID: clientID, ClientSecret: secret, Athletes: strava.Generate(1, 1, start),
		CallbackTimeout: 200 * time.Millisecond,
		Settings:        strava.Settings{RetryInterval: strava.Duration(10 * time.Millisecond)},
	})
	defer s.Close()
	w := &world{Server: s, t: t, client: &http.Client{Transport: standin.InProcess(s)}}
	if r := w.post(push, credentials("callback_url", app.URL, "verify_token", "v")); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	w.connect(athlete, everyScope...)
	for range 3 {
		must(s.AddActivity(athlete, strava.NewActivity{}))
	}
	if err := s.Drain(deadline(t)); err != nil {
		t.Fatal(err)
	}
	close(release)
	c := s.Counters()
	if c.Events["delivered"] != 3 || c.Attempts["timeout"] != 1 || c.Attempts["200"] != 3 {
		t.Errorf("%v %v", c.Events, c.Attempts)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(canceled); err != nil {
		t.Errorf("no delivery is pending, but Drain returned %v", err)
	}
}
