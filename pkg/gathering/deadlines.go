package gathering

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Deadlines sees to it that nothing that Strava told is kept for more than seven
// days (Strava API Policy 6.2), however long the work waits that it is kept for.
// Run it every hour.
type Deadlines struct {
	Athletes  Athletes
	Inboxes   Inboxes
	Inventory Inventory
	Now       func() time.Time
}

// dropTime is how much longer something may be there when nothing is wrong.
const dropTime = 2 * time.Hour

// Days is how many ages, in days, a [Census] tells apart. The last is for all
// that is older, too.
const Days = int(keepAge/(24*time.Hour)) + 1

// What is kept of what Strava told.
const (
	// KeptProfile: when an athlete joined, and the start of the oldest activity.
	KeptProfile = "profile"
	// KeptHint: what a webhook said of an activity.
	KeptHint = "hint"
	// KeptDeauthorization: that an athlete is said to have withdrawn access.
	KeptDeauthorization = "deauthorization"
	// KeptEvent: the digest of a webhook event. The table drops it after [SeenLife].
	KeptEvent = "event"
)

// Census counts what there was when the deadlines were enforced, dropped or not.
type Census struct {
	// ByAge is by how many days ago it was read or received, rounded down.
	ByAge [Days]int
	// TooLong counts, by what it is, what should not have been there any more.
	TooLong map[string]int
}

func (c *Census) count(what string, age time.Duration) {
	c.ByAge[max(0, min(int(age/(24*time.Hour)), Days-1))]++
	if age >= keepAge+dropTime {
		c.TooLong[what]++
	}
}

// Enforce drops what is too old and counts. The census is complete unless the
// inventory could not be gone through. What cannot be dropped does not keep it
// from the next; the error then is about all of it.
func (d *Deadlines) Enforce(ctx context.Context) (Census, error) {
	now := d.Now()
	census := Census{TooLong: map[string]int{}}
	var failed []error
	fails := func(what string, athleteID int64, err error) {
		if err != nil && !errors.Is(err, errUnchanged) {
			failed = append(failed, fmt.Errorf("drop what is too old of the %s of athlete %d: %w", what, athleteID, err))
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
		err = fmt.Errorf("go through what is kept: %w", err)
	}
	return census, errors.Join(append(failed, err)...)
}
