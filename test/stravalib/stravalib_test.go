package stravalib_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

// python is the interpreter that has stravalib.
const python = "../../.local/venv/bin/python"

// stopped is a clock whose time stands still, so that no rate limit window ends
// during a test, and whose timers run, for the webhooks.
type stopped struct {
	standin.SystemClock
	now time.Time
}

func (c stopped) Now() time.Time { return c.now }

func TestStravalibWorksWithTheStandIn(t *testing.T) {
	if _, err := exec.LookPath(python); err != nil {
		t.Fatalf("%s does not exist; run `make test`, which installs it with stravalib", python)
	}
	for mode, lenient := range map[string]bool{"strict": false, "lenient": true} {
		t.Run(mode, func(t *testing.T) {
			now := time.Now()
			stand := strava.New(strava.Config{
				Clock: stopped{now: now}, Seed: 1, Athletes: strava.Generate(2, 2, now), Settings: strava.Settings{Lenient: lenient},
			})
			server := httptest.NewServer(stand)
			defer server.Close()
			defer stand.Close() // before server.Close, which waits for requests that hang
			id, secret := stand.Client()

			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, python, "-I", "-B", "client.py", server.URL, mode)
			cmd.Env = []string{fmt.Sprintf("STRAVA_CLIENT_ID=%d", id), "STRAVA_CLIENT_SECRET=" + secret}
			cmd.WaitDelay = 5 * time.Second
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("client.py: %v\n%s", err, out)
			}

			// The stand-in saw the calls of client.py.
			foreign := 404
			if lenient {
				foreign = 200
			}
			seen := map[string]int{}
			for _, c := range stand.Counters().Calls {
				seen[fmt.Sprint(c.Endpoint, " ", c.Status)] += c.Count
			}
			for call, atLeast := range map[string]int{
				"authorize 302": 1, "exchange 200": 1, "exchange 400": 1, "refresh 200": 4, "refresh 400": 1,
				"athlete 200": 3, "athlete 401": 2, "athlete 403": 1, "athlete 429": 1, "athlete 503": 1,
				"activities 200": 8, "activities 500": 1, "stats 200": 1,
				"activity 200": 2, fmt.Sprint("activity ", foreign): 2, "activity 404": 1, "activity 500": 1,
				"push 200": 3, "push 201": 1, "push 204": 1, "push 400": 2, "push 404": 1, "deauthorize 200": 1,
			} {
				if seen[call] < atLeast {
					t.Errorf("%s: %d times, want at least %d", call, seen[call], atLeast)
				}
			}
			if n := stand.Counters().Events["delivered"]; n != 1 {
				t.Errorf("%d events were delivered, want 1", n)
			}
		})
	}
}
