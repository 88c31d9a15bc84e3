package sim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// set changes Strava's settings.
func (w *world) set(change func(*strava.Settings)) {
	before := w.strava.Settings()
	defer func() {
		if before.ReadLimit != w.strava.Settings().ReadLimit {
			w.invariants.limitsChangedAt = time.Now()
		}
	}()
	if err := w.strava.UpdateSettings(change); err != nil {
		panic(err)
	}
}

// restoreStrava ends all that other actors have done to Strava's settings.
func (w *world) restoreStrava() {
	w.set(func(s *strava.Settings) { *s = w.plan.Strava.WithDefaults() })
	if err := w.strava.Release(strava.Forward); err != nil {
		panic(err)
	}
}

// restore restores some of Strava's settings, by copying them from those of the
// plan.
func (a *actor) restore(restored func(to *strava.Settings, from strava.Settings)) {
	a.w.set(func(s *strava.Settings) { restored(s, a.w.plan.Strava.WithDefaults()) })
}

// deployVersions deploys a new version now and then.
func (a *actor) deployVersions() {
	for a.rest(3 * day) {
		a.tell("deploys a version")
		a.w.deploy()
	}
}

// useQuota is another program of the same application. It makes bursts of calls.
func (a *actor) useQuota() {
	for a.rest(12 * time.Hour) {
		calls := 1 + a.random.IntN(120)
		if a.oneIn(15) {
			calls = 2000 // nothing is left of the day
		}
		times := 1 + a.random.IntN(6)
		a.tell("makes %d times %d calls", times, calls)
		for range times {
			u := a.w.strava.Usage()
			for window := range u.Read {
				u.Read[window] += calls
				u.Overall[window] += calls
			}
			a.w.strava.SetUsage(u)
			if a.wait(30 * time.Minute); !a.w.acting() {
				return
			}
		}
	}
}

// changeLimits is Strava's support, which changes the rate limits for some time.
func (a *actor) changeLimits() {
	for a.rest(4 * day) {
		quarter := 10 + a.random.IntN(300)
		limit := strava.Limit{quarter, quarter * 10}
		a.w.story.action("Strava's read limit is %s", limit)
		a.w.set(func(s *strava.Settings) {
			s.ReadLimit, s.OverallLimit = limit, strava.Limit{2 * limit[0], 2 * limit[1]}
		})
		a.rest(day)
		a.restore(func(to *strava.Settings, from strava.Settings) {
			to.ReadLimit, to.OverallLimit = from.ReadLimit, from.OverallLimit
		})
	}
}

// changeCapacity is Strava's support, which changes how many athletes may be
// connected, and where it refuses more.
func (a *actor) changeCapacity() {
	for a.rest(3 * day) {
		capacity := a.random.IntN(a.w.plan.Athletes + 1)
		a.w.story.action("Strava's capacity is %d", capacity)
		a.w.set(func(s *strava.Settings) { s.Capacity, s.CapacityAtAuthorize = capacity, a.oneIn(2) })
		a.rest(day)
		a.restore(func(to *strava.Settings, from strava.Settings) {
			to.Capacity, to.CapacityAtAuthorize = from.Capacity, from.CapacityAtAuthorize
		})
	}
}

// deactivate is Strava, which refuses all calls of the application for a while.
func (a *actor) deactivate() {
	for a.rest(8 * day) {
		a.w.story.action("Strava deactivates the application")
		a.w.set(func(s *strava.Settings) { s.Inactive = true })
		a.rest(time.Hour)
		a.w.story.action("Strava activates the application")
		a.restore(func(to *strava.Settings, from strava.Settings) { to.Inactive = from.Inactive })
	}
}

// shortenTokens is Strava, whose access tokens sometimes end early.
func (a *actor) shortenTokens() {
	for a.rest(day) {
		id := athleteID(a.random.IntN(a.w.plan.Athletes))
		left := a.upTo(2 * time.Hour)
		if a.w.strava.SetTokenLife(id, left) == nil {
			a.w.story.action("Strava's access tokens for %d end in %s", id, left.Round(time.Second))
		}
	}
}

// deliverBadly is Strava, which for some hours loses, doubles, delays or reorders
// webhook events.
func (a *actor) deliverBadly() {
	for a.rest(2 * day) {
		var how string
		a.w.set(func(s *strava.Settings) {
			switch a.random.IntN(4) {
			case 0:
				how, s.Delivery = "loses", strava.DeliverDrop
			case 1:
				how, s.DeliveryCopies = "repeats", 2+a.random.IntN(2)
			case 2:
				how, s.DeliveryDelay = "delays", strava.Duration(a.upTo(20*time.Minute))
			case 3:
				how, s.Delivery = "reorders", strava.DeliverHold
			}
		})
		a.w.story.action("Strava %s webhook events", how)
		a.rest(5 * time.Hour)
		a.restore(func(to *strava.Settings, from strava.Settings) {
			to.Delivery, to.DeliveryCopies, to.DeliveryDelay = from.Delivery, from.DeliveryCopies, from.DeliveryDelay
		})
		if err := a.w.strava.Release(pick(a, strava.Forward, strava.Reverse, strava.Shuffle)); err != nil {
			panic(err)
		}
		a.w.story.action("Strava delivers webhook events")
	}
}

// forge posts forged webhook events.
func (a *actor) forge() {
	for a.rest(8 * time.Hour) {
		sub := a.w.strava.Subscription()
		if sub == nil || !strings.HasPrefix(sub.CallbackURL, siteURL) {
			continue
		}
		what, address, body := a.forgery(sub)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		r.Header.Set("Content-Type", pick(a, "application/json", "application/json", "application/octet-stream"))
		p := (&browser{w: a.w}).receive(a.w.request(r))
		cancel()
		a.tell("posts %s: status %d", what, p.status)
		if p.status != 0 {
			a.w.answered(0, "/webhooks/strava", p.status, p.body)
		}
	}
}

// forgery returns the address and the body of a forged event. Most know the secret
// address.
func (a *actor) forgery(sub *strava.Subscription) (what, address string, body []byte) {
	address = sub.CallbackURL
	owner := athleteID(a.random.IntN(a.w.plan.Athletes))
	e := strava.Event{
		AspectType: "update", ObjectID: 40_000_000_000 + a.random.Int64N(300), ObjectType: "activity", OwnerID: owner,
		EventTime: time.Now().Unix(), SubscriptionID: sub.ID, Updates: map[string]string{},
	}
	deauthorize := func() {
		e.ObjectType, e.ObjectID, e.Updates = "athlete", e.OwnerID, map[string]string{"authorized": "false"}
	}
	switch a.random.IntN(9) {
	case 0:
		what, address = "an event to another key", siteURL+"/webhooks/strava/guess"
		deauthorize()
	case 1:
		what, e.SubscriptionID = "an event of another subscription", sub.ID-1
		deauthorize()
	case 2, 3:
		what = "a deauthorization of " + itoa(owner)
		deauthorize()
	case 4:
		what, e.OwnerID = "a deauthorization of a stranger", 99_000_000+a.random.Int64N(1000)
		deauthorize()
	case 5:
		e.AspectType = pick(a, "create", "update", "delete")
		what = "a " + e.AspectType + " of " + itoa(e.ObjectID)
	case 6:
		if sent := a.w.strava.Deliveries(); len(sent) > 0 {
			return "an event again", address, pick(a, sent...).Event
		}
		what = "an update"
	case 7:
		return "a huge body", address, bytes.Repeat([]byte("a"), 40_000)
	default:
		bodies := []string{"", "null", "[]", "{", `{"object_type":1,"updates":"x"}`, "\x1f\x8b\x08", `{"owner_id":-1,"object_id":"1e99"}`}
		return "a malformed body", address, []byte(pick(a, bodies...))
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return what, address, body
}

// intrude calls the API with made-up secrets.
func (a *actor) intrude() {
	for a.rest(day) {
		id := athleteID(a.random.IntN(a.w.plan.Athletes))
		path := pick(a, "/v1/me", "/v1/me/activities", "/v1/me/stats", "/v1/erasures/"+itoa(id), "/v1/me/keys")
		guess := fmt.Sprintf("%d_%d", id, a.random.Uint64())
		header := pick(a, []string{"Cookie", sessionCookie + "=" + guess}, []string{"Authorization", "Bearer pck_" + guess}, nil)
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, siteURL+path, nil)
		if err != nil {
			panic(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		p := (&browser{w: a.w}).receive(a.w.request(r))
		a.tell("asks for %s: status %d", path, p.status)
		if p.status != 0 {
			a.w.answered(0, path, p.status, p.body)
		}
	}
}

// sortedKeys returns the keys of a map in their order, which is that of each run.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
