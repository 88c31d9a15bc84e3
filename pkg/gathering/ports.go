package gathering

import (
	"context"
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Athletes stores what is known of athletes.
type Athletes interface {
	// Athlete returns what is stored, strongly consistent; an Athlete with
	// the ID alone when that is nothing.
	Athlete(ctx context.Context, id int64) (Athlete, error)
	// Update changes the athlete: change is given what is stored, or an
	// Athlete with the ID alone, and what it leaves is written only if nobody
	// wrote in between; otherwise it is called again on what is then stored.
	// It must therefore make no calls. An error of change is returned as it is
	// and nothing is written.
	Update(ctx context.Context, id int64, change func(*Athlete) error) (Athlete, error)
}

// Pauses stores the pause that everybody observes.
type Pauses interface {
	// Pause returns the present pause; the zero one when there never was any.
	Pause(ctx context.Context) (Pause, error)
	// SavePause stores the pause unless the stored one lasts longer.
	SavePause(ctx context.Context, p Pause) error
}

// Webhooks stores what the webhook accepts.
type Webhooks interface {
	// Webhook returns what to accept; a not-found fault before it was
	// configured.
	Webhook(ctx context.Context) (Webhook, error)
	// SaveWebhook stores it unless the stored version is newer.
	SaveWebhook(ctx context.Context, w Webhook) error
}

// Queue holds the work.
type Queue interface {
	// Send puts a job into the queue, to be done after delay (at most
	// [MaxDelay]). When it returns nil the job is stored durably.
	Send(ctx context.Context, job Job, delay time.Duration) error
}

// MaxDelay is the longest delay that a queue takes (SQS: 15 minutes).
const MaxDelay = 15 * time.Minute

// Reading is what is known of one call to Strava, whatever came of it.
type Reading struct {
	// At is when the request began: what was read is at least as new.
	At time.Time
	// Pause is what the answer asks of everybody; zero when it asks nothing.
	Pause Pause
}

// Strava reads Strava in an athlete's name. Its errors are those below, or a
// fault. The Reading counts with an error, too.
type Strava interface {
	Athlete(ctx context.Context, athleteID, generation int64) (gatheringv1.Athlete, Reading, error)
	// Activities lists one page. n is how many activities Strava sent; the
	// ones that could not be understood are missing in the list.
	Activities(ctx context.Context, athleteID, generation int64, before time.Time, page int) (list []gatheringv1.Activity, n int, _ Reading, _ error)
	// Activity reads one. ErrNotVisible covers an activity of somebody else.
	Activity(ctx context.Context, athleteID, generation, activityID int64) (gatheringv1.Activity, Reading, error)
}

// What may come of a call to Strava.
var (
	// ErrNotVisible: it doesn't exist, or this authorization may not see it.
	ErrNotVisible = errors.New("not visible at Strava")
	// ErrPaused: Strava's rate limit is reached, or Strava is down; nobody
	// should call before the Reading's Pause is over.
	ErrPaused = errors.New("Strava asks to pause")
	// ErrUnavailable: this call failed; others may work.
	ErrUnavailable = errors.New("Strava could not answer")
	// ErrRevoked: the authorization is over.
	ErrRevoked = errors.New("authorization revoked")
	// ErrDegraded: the athlete has to connect again.
	ErrDegraded = errors.New("authorization degraded")
)

// Publisher puts events on the bus. An error is a transient fault after which
// all of them are to be published again.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}
