package gathering

import (
	"slices"
	"time"
)

// Hint says that there may be something to read: a webhook event about an
// activity or the authorization, or something that a scan could not find out.
type Hint struct {
	// Aspect is Strava's aspect_type, or one of the others below.
	Aspect     string
	ActivityID int64
	// EventTime is Strava's, in Unix seconds.
	EventTime int64
	// ReceivedAt is when the hint arrived.
	ReceivedAt time.Time
	// NotBefore is when to try again, after an attempt that failed or did not find
	// the activity.
	NotBefore time.Time
	// Attempts counts the re-reads that did not find the activity. Failures counts
	// the re-reads in a row that failed, the first at FailingSince.
	Attempts, Failures int
	FailingSince       time.Time
	// Unlisted says that a list of the newest activities does not answer the hint:
	// the activity is re-read by its id.
	Unlisted bool
}

// DigestExpiresAt returns until when the digest of the hint's webhook event is
// kept.
func (h Hint) DigestExpiresAt() time.Time { return h.ReceivedAt.Add(DigestTTL) }

// Aspects of hints.
const (
	AspectCreate = "create"
	AspectUpdate = "update"
	AspectDelete = "delete"
	// AspectDeauthorize: the athlete is said to have withdrawn access.
	AspectDeauthorize = "deauthorize"
	// AspectMissing: a scan did not find the activity, although the activity plane
	// holds it.
	AspectMissing = "missing"
	// AspectProfile: the athlete's profile could not be read.
	AspectProfile = "profile"
)

// notFoundDelays are the waits before an activity that was not found is looked
// for again, see [activityHints.retries].
var notFoundDelays = []time.Duration{time.Minute, 10 * time.Minute}

// activityHints sums up all hints about one activity, or about the profile.
type activityHints struct {
	activityID       int64 // 0 for the profile
	created, deleted bool
	missing          bool
	unlisted         bool
	attempts         int
	failures         int
	failingSince     time.Time
	// eventTime is that of the last hint.
	eventTime int64
}

// retries is how many times an activity that was not found is looked for
// again. If a webhook reported the deletion, or a scan missed the activity, one
// answer is evidence enough; otherwise it is not. A new activity gets more
// time, because Strava sends the webhook before it has processed the upload.
func (s activityHints) retries() int {
	switch {
	case s.deleted, s.missing:
		return 0
	case s.created:
		return len(notFoundDelays)
	}
	return 1
}

// byFailures puts the activity that failed least first.
func byFailures(a, b activityHints) int { return a.failures - b.failures }

// hinted sums up, by activity, the hints that may be worked on now, the oldest
// first.
func (m Inbox) hinted(now time.Time) []activityHints {
	var out []activityHints
	for _, h := range m.Hints {
		if h.Aspect == AspectDeauthorize || h.NotBefore.After(now) {
			continue
		}
		i := slices.IndexFunc(out, func(s activityHints) bool { return s.activityID == h.ActivityID })
		if i < 0 {
			i = len(out)
			out = append(out, activityHints{activityID: h.ActivityID})
		}
		s := &out[i]
		s.created = s.created || h.Aspect == AspectCreate
		s.deleted = s.deleted || h.Aspect == AspectDelete
		s.missing = s.missing || h.Aspect == AspectMissing
		s.unlisted = s.unlisted || h.Unlisted
		s.attempts = max(s.attempts, h.Attempts)
		if h.Failures > s.failures {
			s.failures, s.failingSince = h.Failures, h.FailingSince
		}
		s.eventTime = max(s.eventTime, h.EventTime)
	}
	return out
}
