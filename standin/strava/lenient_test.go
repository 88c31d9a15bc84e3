package strava_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// TestLenientModeAcceptsCallsThatStravaAccepts makes each such call in both
// modes.
func TestLenientModeAcceptsCallsThatStravaAccepts(t *testing.T) {
	for _, lenient := range []bool{false, true} {
		t.Run(fmt.Sprintf("lenient %v", lenient), func(t *testing.T) {
			w := newWorld(t, strava.Config{Settings: strava.Settings{Lenient: lenient}})
			tok := w.connect(athlete, everyScope...)
			other := func(visibility string) string {
				return fmt.Sprintf("/api/v3/activities/%d", must(w.AddActivity(athlete+1, strava.NewActivity{Visibility: visibility})))
			}
			status := func(lenientStatus, strict int) int {
				if lenient {
					return lenientStatus
				}
				return strict
			}

			public := other(strava.Everyone)
			r := w.get(tok.Access, public)
			if r.status != status(200, 404) {
				t.Errorf("another's public activity: %d", r.status)
			}
			if lenient {
				var a struct {
					ResourceState int `json:"resource_state"`
					Athlete       struct {
						ID int64 `json:"id"`
					} `json:"athlete"`
				}
				if err := json.Unmarshal([]byte(r.body), &a); err != nil || a.Athlete.ID != athlete+1 || a.ResourceState != 2 {
					t.Errorf("it is %+v: %v", a, err)
				}
			}
			for _, visibility := range []string{strava.FollowersOnly, strava.OnlyMe} {
				w.get(tok.Access, other(visibility)).expect(t, 404, "")
			}
			w.get(tok.Access, "/api/v3/activities/1").expect(t, 404, "")
			bare := w.connect(athlete+2, "read")
			if r := w.get(bare.Access, public); r.status != 401 {
				t.Errorf("another's public activity without activity:read: %d", r.status)
			}

			query := w.get("", "/api/v3/athlete?access_token="+tok.Access)
			if query.status != status(200, 401) || (query.header.Get("X-Ratelimit-Usage") != "") != lenient {
				t.Errorf("a token in the query: %d %v", query.status, query.header)
			}
			if r := w.get("unknown", "/api/v3/athlete?access_token="+tok.Access); r.status != 401 {
				t.Errorf("an invalid token in the header and a valid one in the query: %d", r.status)
			}

			exchange := func(after time.Duration) int {
				code := must(w.Authorize(athlete, "read"))
				w.clock.Advance(after)
				return w.post("/oauth/token", credentials("grant_type", "authorization_code", "code", code)).status
			}
			for after, want := range map[time.Duration]int{
				5*time.Minute - 1: 200, 5 * time.Minute: status(200, 400), time.Hour - 1: status(200, 400), time.Hour: 400,
			} {
				if got := exchange(after); got != want {
					t.Errorf("a code after %s: %d, want %d", after, got, want)
				}
			}
			if err := w.UpdateSettings(func(s *strava.Settings) { s.CodeLife = strava.Duration(time.Minute) }); err != nil {
				t.Fatal(err)
			}
			if a, b := exchange(time.Minute-1), exchange(time.Minute); a != 200 || b != 400 {
				t.Errorf("a code that is valid for a minute: %d, then %d", a, b)
			}
		})
	}
}
