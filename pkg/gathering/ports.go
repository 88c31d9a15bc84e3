package gathering

import (
	"context"
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Athletes stores the gathering state of athletes. The errors of all stores of
// this boundary are faults; an item that cannot be decoded is a permanent one.
type Athletes interface {
	// Athlete returns the stored athlete, strongly consistent; an Athlete with
	// only the ID if there is none.
	Athlete(ctx context.Context, id int64) (Athlete, error)
	// Update calls change with the stored athlete, or with an Athlete that has
	// only the ID, and writes the result if no other write came in between.
	// Otherwise it starts over, so change may run several times and must make no
	// calls. Update writes nothing if change reports that it changed nothing, or
	// returns an error, which Update returns as it is. It returns the athlete as
	// stored afterwards.
	Update(ctx context.Context, id int64, change func(*Athlete) (changed bool, err error)) (Athlete, error)
}

// Inboxes stores inboxes.
type Inboxes interface {
	// UpdateInbox changes an inbox as Update of [Athletes] changes an athlete.
	UpdateInbox(ctx context.Context, athleteID int64, change func(*Inbox) (changed bool, err error)) (Inbox, error)
	// Deliver puts the hint of the webhook event with this digest into the
	// athlete's inbox and makes its job due: now, or when it is to be retried
	// after a failure. When it returns Delivered, the hint is stored durably and
	// the digest is kept for [DigestTTL]. A hint for a full inbox is dropped, and
	// the inbox is marked as overflowed.
	Deliver(ctx context.Context, athleteID int64, digest string, h Hint) (Delivery, error)
	// DropInbox deletes the inbox and the digests of its webhook events, unless
	// the inbox is of a later generation.
	DropInbox(ctx context.Context, by Authorization) error
}

// Delivery is the result of delivering a hint.
type Delivery string

// The deliveries.
const (
	Delivered Delivery = "delivered"
	// Duplicate: the webhook event was delivered before.
	Duplicate Delivery = "duplicate"
	// UnknownAthlete: the athlete has no inbox.
	UnknownAthlete Delivery = "unknown"
)

// JobQueue lists jobs by class. Its answers may be a moment old.
type JobQueue interface {
	// Due lists at most limit jobs of the class that are due at a time, the
	// longest due first. Unless after is nil, it lists only jobs that follow that
	// one. A leased job is due when the lease ends, or when a hint arrives for it.
	Due(ctx context.Context, class quota.Class, at time.Time, after *JobRef, limit int) ([]JobRef, error)
	// Waiting counts the jobs of the class that are due at a time.
	Waiting(ctx context.Context, class quota.Class, at time.Time) (Waiting, error)
}

// Waiting counts the jobs of one class that are due.
type Waiting struct {
	Count int
	// Oldest is the time since which the first job has been due; zero if none is
	// due.
	Oldest time.Time
}

// Quota gives permits to call Strava; see [quota.Engine].
type Quota interface {
	Acquire(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error)
	Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (quota.Settlement, error)
	Status(ctx context.Context) (quota.Status, error)
}

// Webhooks stores what the webhook accepts, its health, and daily counts of its
// events.
type Webhooks interface {
	// Webhook returns the stored webhook; the zero value before it was configured.
	Webhook(ctx context.Context) (Webhook, error)
	// UpdateWebhook changes the webhook as Update of [Athletes] changes an
	// athlete.
	UpdateWebhook(ctx context.Context, change func(*Webhook) (changed bool, err error)) (Webhook, error)
	// CountWebhookEvent adds one to the events of the UTC day that at falls on.
	CountWebhookEvent(ctx context.Context, at time.Time) error
	// WebhookEvents returns how many events were counted on the UTC day that at
	// falls on; the count is kept for [EventCountTTL]. An event may be counted
	// twice if counting it was retried.
	WebhookEvents(ctx context.Context, at time.Time) (int, error)
}

// EventCountTTL is how long a day's count of events is kept, from the day's
// beginning.
const EventCountTTL = 4 * 24 * time.Hour

// EventCountExpiresAt returns until when the count of events is kept of the UTC
// day that at falls on.
func EventCountExpiresAt(at time.Time) time.Time {
	return at.UTC().Truncate(24 * time.Hour).Add(EventCountTTL)
}

// Inventory visits everything that is stored about athletes.
type Inventory interface {
	// Each calls the functions one at a time: for every athlete, every inbox, and
	// every webhook event whose digest is remembered, with its time of receipt.
	// The functions may update what they are called for. If Each returns no error,
	// it visited everything.
	Each(ctx context.Context, athlete func(Athlete), inbox func(Inbox), event func(receivedAt time.Time)) error
}

// Waker wakes a gatherer.
type Waker interface {
	// Wake makes a gatherer run after a delay of at most 15 minutes; zero means at
	// once.
	Wake(ctx context.Context, after time.Duration) error
}

// Reading describes one call to Strava, whatever its result.
type Reading struct {
	// At is when the request began: the data read is at least as new.
	At time.Time
	// Answer is what the call showed about the quota.
	Answer quota.Answer
	// Scarce says that the quota was scarce when the call was made, see
	// [quota.Permit].
	Scarce bool
}

// PageRequest asks for one page of an athlete's activities, newest first: those
// that start at From or later and before To. Both are whole seconds.
type PageRequest struct {
	// From is zero for the beginning of the history.
	From, To time.Time
	// Page counts from 1; PerPage is at most [PageSize].
	Page, PerPage int
}

// Strava reads Strava in an athlete's name. Its errors are the ones below, or a
// fault of ours, which says nothing about Strava. The Reading is valid even
// with an error.
type Strava interface {
	Athlete(ctx context.Context, by Authorization) (gatheringv1.Athlete, Reading, error)
	Activities(ctx context.Context, by Authorization, r PageRequest) (Page, Reading, error)
	// Activity reads one activity. It returns ErrNotVisible for another athlete's
	// activity, too.
	Activity(ctx context.Context, by Authorization, activityID int64) (gatheringv1.Activity, Reading, error)
}

// Errors of a call to Strava.
var (
	// ErrNotVisible: the activity does not exist, or this authorization may not
	// see it.
	ErrNotVisible = errors.New("not visible at Strava")
	// ErrRateLimited: 429.
	ErrRateLimited = errors.New("Strava's rate limit is reached")
	// ErrInactive: Strava says that the application is inactive.
	ErrInactive = errors.New("Strava says that the application is inactive")
	// ErrUnavailable: Strava did not answer this call, or the answer is malformed.
	// Other calls may succeed.
	ErrUnavailable = errors.New("Strava could not answer")
	// ErrRevoked: the authorization has ended.
	ErrRevoked = errors.New("authorization revoked")
	// ErrDegraded: the athlete has to connect again.
	ErrDegraded = errors.New("authorization degraded")
)

// CheckSubscription asks the credentials boundary's exported function
// check-subscription whether webhooks can arrive. An error means that the check
// could not be made.
type CheckSubscription func(context.Context, credentialsv1.CheckSubscriptionRequest) (credentialsv1.CheckSubscriptionResponse, error)

// Publisher puts events on the bus. An error is a transient fault, after which
// the caller has to publish all of them again.
type Publisher interface {
	Publish(ctx context.Context, events ...event.Event) error
}

// Metrics counts.
type Metrics interface {
	Count(metric string, n int)
}
