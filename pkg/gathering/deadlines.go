package gathering

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Deadlines drops Strava's data after seven days (Strava API Policy 6.2), even
// if the work that needs it still waits. Run it every hour.
type Deadlines struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Inventory Inventory
	Now       func() time.Time
}

// dropTime is how long after its deadline data may still be there when all is
// well.
const dropTime = 2 * time.Hour

// Days is how many ages, in days, a [Census] distinguishes. The last one
// includes everything older.
const Days = int(keepAge/(24*time.Hour)) + 1

// Kinds of Strava's data that are stored.
const (
	// KeptProfile: when an athlete joined, and the start of the oldest activity.
	KeptProfile = "profile"
	// KeptHint: a hint about an activity.
	KeptHint = "hint"
	// KeptDeauthorization: a hint that an athlete withdrew access.
	KeptDeauthorization = "deauthorization"
	// KeptEvent: the digest of a webhook event. The table drops it after [SeenLife].
	KeptEvent = "event"
)

// Census counts the data found when the deadlines were enforced, including data
// that was then dropped.
type Census struct {
	// ByAge counts by the days since the data was read or received, rounded down.
	ByAge [Days]int
	// TooLong counts, by kind, data that should not have been there any more.
	TooLong map[string]int
}

func (c *Census) count(what string, age time.Duration) {
	c.ByAge[max(0, min(int(age/(24*time.Hour)), Days-1))]++
	if age >= keepAge+dropTime {
		c.TooLong[what]++
	}
}

// Enforce drops data that is too old, and counts all. If something cannot be
// dropped it goes on, and the error names every such failure. The census is
// complete unless the error is also about the inventory.
func (d *Deadlines) Enforce(ctx context.Context) (Census, error) {
	now := d.Now()
	census := Census{TooLong: map[string]int{}}
	var failed []error
	fails := func(what string, athleteID int64, err error) {
		if err != nil && !errors.Is(err, errUnchanged) {
			failed = append(failed, fmt.Errorf("drop old data from the %s of athlete %d: %w", what, athleteID, err))
		}
	}
	err := d.Inventory.Each(ctx, func(a Athlete) {
		if readAt, kept := a.stravaDataAge(); kept {
			census.count(KeptProfile, now.Sub(readAt))
		}
		if !a.expire(now) {
			return
		}
		_, err := d.Athletes.Update(ctx, a.ID, func(a *Athlete) error {
			if !a.expire(now) {
				return errUnchanged
			}
			return nil
		})
		fails("scan", a.ID, err)
	}, func(m Inbox) {
		for _, h := range m.Hints {
			what := KeptHint
			if h.Aspect == AspectDeauthorize {
				what = KeptDeauthorization
			}
			census.count(what, now.Sub(h.ReceivedAt))
		}
		if !m.expire(now) {
			return
		}
		_, err := d.Inboxes.UpdateInbox(ctx, m.AthleteID, func(m *Inbox) error {
			if !m.expire(now) {
				return errUnchanged
			}
			return nil
		})
		fails("inbox", m.AthleteID, err)
	}, func(receivedAt time.Time) {
		census.count(KeptEvent, now.Sub(receivedAt))
	})
	if err != nil {
		err = fmt.Errorf("visit all items: %w", err)
	}
	return census, errors.Join(append(failed, err)...)
}
