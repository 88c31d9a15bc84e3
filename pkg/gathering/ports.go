package gathering

import (
	"context"
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering/quota"
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

// Inboxes stores inboxes.
type Inboxes interface {
	// UpdateInbox is to inboxes what [Athletes] Update is to athletes.
	UpdateInbox(ctx context.Context, athleteID int64, change func(*Inbox) error) (Inbox, error)
	// Deliver puts the hint of the webhook event with this digest into the
	// athlete's inbox and makes its job due: now, or when it is to be retried
	// after a failure. When it returns Delivered the hint is stored durably, and
	// the event is remembered for [SeenLife]. A hint that finds the inbox full is
	// not kept; the inbox overflows instead.
	Deliver(ctx context.Context, athleteID int64, digest string, h Hint) (Delivery, error)
	// DropInbox forgets the inbox and all its webhook events, unless the inbox is
	// of a later generation.
	DropInbox(ctx context.Context, athleteID, generation int64) error
}

// Delivery is what came of an attempt to deliver a hint.
type Delivery string

// The deliveries.
const (
	Delivered Delivery = "delivered"
	// Duplicate: this very webhook event was delivered before.
	Duplicate Delivery = "duplicate"
	// Unknown: the athlete has no inbox.
	Unknown Delivery = "unknown"
)

// JobQueue has the jobs that wait, by class. What it returns may be a moment
// old.
type JobQueue interface {
	// Due lists the jobs of the class that are due at a time, the longest due
	// first, at most limit of them; only what comes after a job, unless that is
	// nil. A leased job is due when the lease ends, or when a hint arrived for it.
	Due(ctx context.Context, class quota.Class, at time.Time, after *JobRef, limit int) ([]JobRef, error)
	// Waiting counts the jobs of the class that are due at a time.
	Waiting(ctx context.Context, class quota.Class, at time.Time) (Waiting, error)
}

// Waiting is how many jobs of one class wait.
type Waiting struct {
	Count int
	// Oldest is since when the first one has been due; zero without one.
	Oldest time.Time
}

// Quota gives permits to call Strava; see [quota.Engine].
type Quota interface {
	Reserve(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error)
	Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (quota.Standing, error)
	Status(ctx context.Context) (quota.Status, error)
}

// Webhooks stores what the webhook accepts and how it fared.
type Webhooks interface {
	// Webhook returns it; the zero one before it was configured.
	Webhook(ctx context.Context) (Webhook, error)
	// UpdateWebhook is to it what [Athletes] Update is to athletes.
	UpdateWebhook(ctx context.Context, change func(*Webhook) error) (Webhook, error)
	// CountWebhookEvent counts one more event on the UTC day of a time.
	CountWebhookEvent(ctx context.Context, at time.Time) error
	// WebhookEvents is how many were counted on the UTC day of a time, for as long as
	// [CountLife]. An event whose count was tried again may be in it twice.
	WebhookEvents(ctx context.Context, at time.Time) (int, error)
}

// CountLife is for how long a day's count of events is kept, from the day's
// beginning.
const CountLife = 4 * 24 * time.Hour

// Inventory goes through everything that is kept of athletes.
type Inventory interface {
	// Each calls the functions, never two at a time: for every athlete, every
	// mailbox, and every notice that is remembered, with when it was received.
	// They may change what they are given of. Without an error it was all.
	Each(ctx context.Context, athlete func(Athlete), inbox func(Inbox), event func(receivedAt time.Time)) error
}

// Waker wakes a gatherer.
type Waker interface {
	// Wake makes a gatherer run after a while, at once if that is zero. A while is
	// at most 15 minutes.
	Wake(ctx context.Context, after time.Duration) error
}

// Reading is what is known of one call to Strava, whatever came of it.
type Reading struct {
	// At is when the request began: what was read is at least as new.
	At time.Time
	// Answer is what the call showed about the quota.
	Answer quota.Answer
	// Scarce says that the quota was when the call was made.
	Scarce bool
}

// PageRequest asks for one page of an athlete's activities that start at From or
// later and before To, whole seconds both, newest first.
type PageRequest struct {
	// From is zero for the beginning of the history.
	From, To time.Time
	// Page counts from 1; PerPage is at most [PageSize].
	Page, PerPage int
}

// Strava reads Strava in an athlete's name. Its errors are those below, or a
// fault, which is ours and says nothing about Strava. The Reading counts with an
// error, too.
type Strava interface {
	Athlete(ctx context.Context, athleteID, generation int64) (gatheringv1.Athlete, Reading, error)
	Activities(ctx context.Context, athleteID, generation int64, r PageRequest) (Page, Reading, error)
	// Activity reads one. ErrNotVisible covers an activity of another athlete.
	Activity(ctx context.Context, athleteID, generation, activityID int64) (gatheringv1.Activity, Reading, error)
}

// What may come of a call to Strava.
var (
	// ErrNotVisible: the activity does not exist, or this authorization may not
	// see it.
	ErrNotVisible = errors.New("not visible at Strava")
	// ErrRateLimited: 429.
	ErrRateLimited = errors.New("Strava's rate limit is reached")
	// ErrInactive: Strava says that the application is inactive.
	ErrInactive = errors.New("Strava says that the application is inactive")
	// ErrUnavailable: Strava did not answer this call, or not so that it makes
	// sense; it may answer others.
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

// Metrics counts.
type Metrics interface {
	Count(metric string, n int)
}

// Names of metrics.
const (
	// MetricWebhookEvents counts the webhooks that were stored durably.
	MetricWebhookEvents = "WebhookEventsDelivered"
	// MetricWebhookDuplicates counts those that had been stored before.
	MetricWebhookDuplicates = "WebhookEventsDuplicate"
	// MetricWebhookUnknown counts those about athletes that we do not know.
	MetricWebhookUnknown = "WebhookEventsUnknown"
	// MetricWebhookIgnored counts those that say nothing that matters here.
	MetricWebhookIgnored = "WebhookEventsIgnored"
	// MetricWebhookRejected counts those that are not ours or make no sense.
	MetricWebhookRejected = "WebhookEventsRejected"
	// MetricWebhookUnwell is for how many seconds no probe has found the callback
	// and the subscription well, whichever is longer; 0 without a subscription.
	MetricWebhookUnwell = "WebhookUnwellSeconds"
	// MetricSubscriptionLost is 1 while Strava has no subscription of ours that
	// should be there, and 0 otherwise.
	MetricSubscriptionLost = "SubscriptionLost"
	// MetricRateLimited counts calls that Strava answered with 429.
	MetricRateLimited = "RateLimited"
	// MetricParked counts pieces of work that failed so often, while Strava
	// answered other athletes, that they are left alone for a day.
	MetricParked = "JobsParked"
	// MetricFailed counts attempts that failed for a reason of our own: the
	// requester, the storage, the bus.
	MetricFailed = "JobsFailed"
	// MetricStravaFailed counts attempts that Strava could not answer.
	MetricStravaFailed = "StravaFailures"
	// MetricPaused is for how many seconds Strava has answered no call.
	MetricPaused = "PausedSeconds"
	// MetricUnreadable counts activities without a readable id or start, and
	// MetricLeftOut the members of others that could not be understood.
	MetricUnreadable = "ActivitiesUnreadable"
	MetricLeftOut    = "MembersLeftOut"
	// MetricOldestWebhook is for how many seconds the first webhook has waited.
	MetricOldestWebhook = "OldestWebhookSeconds"
	// Of each of Strava's windows, how many calls are used and how many there
	// may be, of the bucket that binds.
	MetricUsedQuarter  = "Used.quarter"
	MetricUsedDay      = "Used.day"
	MetricLimitQuarter = "Limit.quarter"
	MetricLimitDay     = "Limit.day"
)

// MetricCalls counts the calls of a class.
func MetricCalls(c quota.Class) string { return "Calls." + string(c) }

// MetricReservedDay is how many of the day's calls are kept for a class.
func MetricReservedDay(c quota.Class) string { return "Reserved.day." + string(c) }

// MetricReservedQuarter is how many of the quarter hour's are.
func MetricReservedQuarter(c quota.Class) string { return "Reserved.quarter." + string(c) }

// MetricWaiting is how many jobs of a class wait.
func MetricWaiting(c quota.Class) string { return "Waiting." + string(c) }
