package quota

import (
	"fmt"
	"time"
)

// Class of work. When a class is refused a call, so are all classes below it.
type Class string

// The classes, the most urgent first.
const (
	// Leave: work for an athlete who leaves.
	Leave Class = "leave"
	// Webhook: changes that Strava reported.
	Webhook Class = "webhook"
	// Interactive: data that an athlete is waiting for at the page.
	Interactive Class = "interactive"
	// Reconcile: reading histories again before they are too old to be kept.
	Reconcile Class = "reconcile"
	// Backfill: the rest of a newcomer's history.
	Backfill Class = "backfill"
	// Spare: reading histories again earlier than necessary.
	Spare Class = "spare"
)

// Classes are all classes, the most urgent first.
var Classes = []Class{Leave, Webhook, Interactive, Reconcile, Backfill, Spare}

// Reasons of a [Wait].
const (
	// ReasonRateLimit: the quarter hour's limit is reached, or the rest is
	// reserved for more urgent work.
	ReasonRateLimit = "rate_limit"
	// ReasonDailyLimit: the same for the day's limit.
	ReasonDailyLimit = "daily_limit"
	// ReasonStrava: Strava is down.
	ReasonStrava = "strava"
	// ReasonApplication: Strava refuses the application itself.
	ReasonApplication = "application"
	// ReasonConcurrency: as many calls are under way as may be at once.
	ReasonConcurrency = "concurrency"
)

// Wait is the refusal of a permit, an error for errors.As.
type Wait struct {
	// Until is the earliest time at which the class could get a permit, as far as
	// is known.
	Until time.Time
	// Reason is one of the constants above.
	Reason string
}

// Error implements error.
func (w *Wait) Error() string {
	return fmt.Sprintf("no permit until %[2]s: %[1]s", w.Reason, w.Until.UTC().Format(time.RFC3339))
}

// Permit allows one call to Strava, which must begin at once and end within
// [CallTime].
type Permit struct {
	// ID counts permits from 1.
	ID    int64
	Class Class
	// Expires is when it counts as spent if it has not been settled.
	Expires time.Time
	// Scarce says that the rest of the quota may not suffice for the webhooks that
	// are expected. It is not stored.
	Scarce bool
}
