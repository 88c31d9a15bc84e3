package metric

import "strconv"

// Namespace of every metric of this boundary in CloudWatch.
const Namespace = "Paceline/Gathering"

// Names of metrics.
const (
	// WebhookEvents counts the webhook events that were stored durably.
	WebhookEvents = "WebhookEventsDelivered"
	// WebhookDuplicates counts events that had been stored before.
	WebhookDuplicates = "WebhookEventsDuplicate"
	// WebhookUnknown counts events about athletes that we do not know.
	WebhookUnknown = "WebhookEventsUnknown"
	// WebhookIgnored counts events that need no action.
	WebhookIgnored = "WebhookEventsIgnored"
	// WebhookRejected counts calls of the webhook without a valid event of our
	// subscription.
	WebhookRejected = "WebhookEventsRejected"
	// WebhookUnhealthy is the time in seconds since a probe last found the
	// callback healthy, or the subscription if that is longer ago; 0 without a
	// subscription.
	WebhookUnhealthy = "WebhookUnhealthySeconds"
	// SubscriptionLost is 1 while Strava lacks the subscription that we
	// expect, and 0 otherwise.
	SubscriptionLost = "SubscriptionLost"
	// RateLimited counts calls that Strava answered with 429.
	RateLimited = "RateLimited"
	// Quarantined counts pieces of work that were quarantined for a day, because
	// they failed many times in a row while Strava answered other athletes.
	Quarantined = "JobsQuarantined"
	// Failed counts attempts that failed for a reason of our own: the
	// requester, the storage, the bus.
	Failed = "JobsFailed"
	// StravaFailed counts attempts that Strava could not answer.
	StravaFailed = "StravaFailures"
	// Paused is the time in seconds since the first pause after Strava's last
	// answer began; 0 while Strava answers.
	Paused = "PausedSeconds"
	// ActivitiesUnreadable counts activities without a readable id or start.
	// MembersUnreadable counts unreadable members of listed activities.
	ActivitiesUnreadable = "ActivitiesUnreadable"
	MembersUnreadable    = "MembersUnreadable"
	// OldestWebhook is how many seconds the oldest job of class webhook has
	// been due.
	OldestWebhook = "OldestWebhookSeconds"
	// Calls used and allowed in each of Strava's windows, of the bucket with the
	// smaller limit.
	UsedQuarter  = "Used.quarter"
	UsedDay      = "Used.day"
	LimitQuarter = "Limit.quarter"
	LimitDay     = "Limit.day"
	// WebhooksRefused counts the calls of the webhook that were throttled or
	// failed, by the access log of its HTTP API.
	WebhooksRefused = "WebhooksRefused"
	// KeptTooLong counts data of Strava's that is kept longer than it may be.
	KeptTooLong = "KeptTooLong"
)

// FactsByAge names the metric that counts the stored data that was read from
// Strava so many days ago, rounded down.
func FactsByAge(days int) string { return "FactsReadDaysAgo" + strconv.Itoa(days) }

// Classes are the classes of work that [Calls], [ReservedDay],
// [ReservedQuarter] and [Waiting] have a metric for.
var Classes = []string{"leave", "webhook", "interactive", "reconcile", "backfill", "spare"}

// Calls counts the calls of a class.
func Calls(class string) string { return "Calls." + class }

// ReservedDay is how many of the day's calls are reserved for a class.
func ReservedDay(class string) string { return "Reserved.day." + class }

// ReservedQuarter is how many of the quarter hour's calls are reserved
// for a class.
func ReservedQuarter(class string) string { return "Reserved.quarter." + class }

// Waiting is how many jobs of a class wait.
func Waiting(class string) string { return "Waiting." + class }
