package sim

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// everyActor returns the names of all actors there are.
func everyActor(athletes int) []string {
	names := slices.DeleteFunc(drawActors(rng(1, "test", 0), athletes), func(name string) bool { return others[name] != nil })
	return append(names, sortedKeys(others)...)
}

// quietPlan is a plan of days without failures and actors.
func quietPlan(seed uint64, days int) plan {
	p := newPlan(seed)
	p.Athletes, p.Actors, p.Injections, p.Skew = 3, nil, nil, 0
	p.Storms = []span{{0, time.Duration(days) * day}}
	return p
}

// inWorld runs a plan without its calm, and then do as a process.
func inWorld(t *testing.T, p plan, do func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(p)
		defer w.close()
		w.k.spawn("set-up", 0, w.setUp)
		startSchedules(w.cloud.cloud, w.deployment)
		w.k.run(w.began.Add(setUpTime))
		w.began, w.faults.began = time.Now(), time.Now()
		ended := false
		w.k.spawn("test", 0, func() { do(w); ended = true })
		w.k.run(w.began.Add(w.plan.Storms[0].To))
		for _, v := range w.violations {
			t.Error(v)
		}
		if !ended {
			t.Error("the test did not come to its end")
		}
	})
}

// mayRead returns the ids of the activities that an athlete lets the application
// read now.
func (w *world) mayRead(athlete int64) (ids []int64) {
	i := slices.IndexFunc(w.strava.Athletes(), func(a strava.AthleteState) bool { return a.ID == athlete })
	scopes := strings.Split(w.strava.Athletes()[i].Scope, ",")
	all, err := w.strava.Activities(athlete)
	if err != nil {
		panic(err)
	}
	for _, a := range all {
		if slices.Contains(scopes, "activity:read_all") || slices.Contains(scopes, "activity:read") && a.Visibility != strava.OnlyMe {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// stores returns the ids of an athlete's activities in the plane.
func (w *world) stores(athlete int64) (ids []int64) {
	records, err := w.stored.activity.ReadStore.Records(context.Background(), athlete)
	if err != nil {
		panic(err)
	}
	for _, r := range records {
		if r.Activity != nil {
			ids = append(ids, r.Activity.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// TestWhoConnectsHasActivities: three days of all actors but the one that ends all
// authorizations, without failures.
func TestWhoConnectsHasActivities(t *testing.T) {
	connected, stored := 0, 0
	for seed := range uint64(2) {
		p := quietPlan(seed+1, 3)
		p.Actors = slices.DeleteFunc(everyActor(p.Athletes), func(name string) bool { return name == closer })
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(p)
			defer w.close()
			w.story.tell = true
			w.live()
			for _, v := range w.violations {
				t.Errorf("seed %d: %s", p.Seed, v)
			}
			for _, a := range w.strava.Athletes() {
				got, want := w.stores(a.ID), w.mayRead(a.ID)
				if !slices.Equal(got, want) {
					t.Errorf("seed %d: the plane has %d activities of %d, Strava shows %d\n%s", p.Seed, len(got), a.ID, len(want), &w.story)
				}
				stored += len(got)
				if a.Connected {
					connected++
				}
			}
		})
	}
	if connected < 2 || stored < 50 {
		t.Errorf("%d athletes are connected, with %d activities", connected, stored)
	}
}

// signIn connects with all scopes.
func (p *person) signIn() {
	b := p.browsers[0]
	if at := p.begin(b, "/oauth/connect?returning=1"); at != "" {
		p.finish(b, p.agree(b, at, consent{}))
	}
}

// TestEveryDeedCanBeDone by an athlete who has signed in and has a key, except to
// connect like those who have not.
func TestEveryDeedCanBeDone(t *testing.T) {
	inWorld(t, quietPlan(1, 3), func(w *world) {
		p, all := w.person(0), deeds()
		done := make([]int, len(all))
		for range 3 {
			for i, d := range all {
				if p.signIn(); len(p.keys) == 0 {
					p.makeKey()
				}
				if d.can == nil || d.can(p) {
					d.do(p)
					done[i]++
				}
				w.k.pause(time.Minute)
			}
		}
		undone := 0
		for _, n := range done {
			if n == 0 {
				undone++
			}
		}
		if undone != 1 || len(p.receipts) < 4 || len(w.people.issued) < 60 {
			t.Errorf("deeds were done %v times; %d receipts, %d sessions and keys", done, len(p.receipts), len(w.people.issued))
		}
	})
}

// TestPeopleKnowWhatWorks: sessions and keys work until people are told that they
// have ended.
func TestPeopleKnowWhatWorks(t *testing.T) {
	inWorld(t, quietPlan(1, 2), func(w *world) {
		p := w.person(0)
		check := func(what string, live int) {
			t.Helper()
			w.k.pause(time.Minute)
			for _, i := range w.people.issued {
				header, want := []string{"Cookie", sessionCookie + "=" + i.secret}, http.StatusUnauthorized
				if i.key {
					header = []string{"Authorization", "Bearer " + i.secret}
				}
				if i.ended.IsZero() {
					want, live = http.StatusOK, live-1
				}
				if got := w.newBrowser().get("/v1/me", header...).status; got != want {
					t.Errorf("%s: status %d, want %d: %+v", what, got, want, i)
				}
			}
			if live != 0 {
				t.Errorf("%s: %d more sessions and keys should work", what, live)
			}
		}
		p.signIn()
		p.makeKey()
		check("signed in", 2)
		p.logOut()
		check("logged out", 1)
		p.signIn()
		p.revokeKey()
		check("without a key", 1)
		p.logOutEverywhere()
		check("logged out everywhere", 0)
		p.signIn()
		w.admin().endSessions()
		check("all sessions ended by the admin", 0)
	})
}

func TestABrowserKeepsCookiesOfTheHostOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		b := w.newBrowser()
		keep := func(cookie string) { b.keepCookies(&http.Response{Header: http.Header{"Set-Cookie": {cookie}}}) }
		for _, refused := range []string{"; Path=/; Max-Age=9", "; Secure; Path=/v1; Max-Age=9", "; Secure; Path=/; Domain=paceline.test; Max-Age=9"} {
			if keep(sessionCookie + "=7_x" + refused); b.session() != "" {
				t.Errorf("kept a cookie with %q", refused)
			}
		}
		keep(sessionCookie + "=7_x; Secure; Path=/; Max-Age=9")
		if !b.signedInAs(7) || b.signedInAs(8) {
			t.Error("not signed in")
		}
		keep(sessionCookie + "=8_y; Secure; Path=/; Max-Age=9")
		if given := w.people.issued; !b.signedInAs(8) || len(given) != 2 || given[0].owner != 7 || given[1].owner != 8 {
			t.Error("another session does not replace the first")
		}
		time.Sleep(10 * time.Second)
		if b.session() != "" {
			t.Error("a cookie outlives its age")
		}
	})
}
