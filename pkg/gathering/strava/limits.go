package strava

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
)

// Strava's windows (Strava, "Rate Limits"): a quarter of an hour from :00, :15,
// :30 and :45, and a day from midnight UTC.
const (
	quarter = 15 * time.Minute
	day     = 24 * time.Hour
)

// limitPause returns the pause that the rate limit headers ask for: until the
// end of the longest window whose usage has reached its limit, in either of
// the two buckets; the zero Pause when there is room in all.
func limitPause(header map[string]string, at time.Time) gathering.Pause {
	var until time.Time
	for _, bucket := range []string{"X-Ratelimit", "X-Readratelimit"} {
		limits := pair(header[bucket+"-Limit"])
		usages := pair(header[bucket+"-Usage"])
		for i, window := range []time.Duration{quarter, day} {
			if len(limits) == 2 && len(usages) == 2 && usages[i] >= limits[i] {
				if end := windowEnd(at, window); end.After(until) {
					until = end
				}
			}
		}
	}
	if until.IsZero() {
		return gathering.Pause{}
	}
	return gathering.Pause{Until: until, For: gatheringv1.WaitingForQuota}
}

// windowEnd is when the window that at falls into ends. Both kinds of window
// begin at multiples of their length since the Unix epoch.
func windowEnd(at time.Time, window time.Duration) time.Time {
	return time.Unix(0, 0).UTC().Add(at.Sub(time.Unix(0, 0)).Truncate(window) + window)
}

// pair reads "100,1000"; nil when it is something else.
func pair(s string) []int64 {
	var out []int64
	for _, part := range strings.Split(s, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}

// answeredAt is when Strava's headers were true: by its own Date, else by ours.
func answeredAt(header map[string]string, now time.Time) time.Time {
	if t, err := http.ParseTime(header["Date"]); err == nil {
		return t
	}
	return now
}
