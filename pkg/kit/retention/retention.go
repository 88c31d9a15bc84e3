package retention

import "time"

const (
	// StravaData is how long Strava's data may be kept without being read again
	// (Strava API Policy 6.2). Older data is not shown, and a reading that arrives
	// later, for example from a dead-letter queue, is ignored.
	StravaData = 7 * day

	// Tombstone is how long the end of an authorization is remembered. It is
	// longer than [StravaData] and than a queue keeps an event, so that no late
	// reading or event outlives the tombstone that rejects it.
	Tombstone = StravaData + day

	// Grace is how long after its deadline data may still be stored, because the
	// functions that delete it run once an hour.
	Grace = 2 * time.Hour

	// Copies is how long erased data may remain in copies that are read only
	// after a failure: dead-letter queues, point-in-time recovery, and logs,
	// which may name an athlete's id.
	Copies = 7 * day

	// Receipt is how long a completed erasure can be looked up.
	Receipt = 30 * day
)

const day = 24 * time.Hour

// Days is how many ages [Day] distinguishes.
const Days = int(StravaData/day) + 1

// Day returns an age in whole days, from 0 to [Days]-1. The last one includes
// everything older.
func Day(age time.Duration) int { return max(0, min(int(age/day), Days-1)) }
