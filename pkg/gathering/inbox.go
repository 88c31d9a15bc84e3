package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Inbox holds what has to be read about one athlete outside a scan: hints from
// webhooks, and requests of the athlete or of another boundary. It exists as
// long as the athlete's authorization.
type Inbox struct {
	AthleteID int64
	// Generation of the authorization; 0 when there is no inbox.
	Generation int64
	Job        Job
	Hints      []Hint
	// Overflowed says that hints were dropped, because the inbox was full or they
	// were too old. Only a scan replaces them.
	Overflowed bool
	// GatherRequested says that the athlete asked for the newest activities.
	GatherRequested bool
	// ListedAt is when hints last led to a list of the newest activities, or to a
	// scan.
	ListedAt time.Time
	// PacedAt limits single re-reads. It is when the last one would have been made
	// if all had been spread evenly, one per pace.
	PacedAt time.Time
	// ListSize is how many activities the next list asks for; 0 means PageSize. It
	// shrinks when Strava fails to show a list.
	ListSize int
	// Scarce says that the quota was scarce at the last call.
	Scarce bool
	// FailedOn is the activity whose re-read failed last; 0 if no call failed, or
	// another one did.
	FailedOn int64
	// Question is about the last scan.
	Question Question
}

func (m Inbox) authorization() Authorization { return Authorization{m.AthleteID, m.Generation} }

// Question asks whether the activities that a scan did not find are gone.
type Question struct {
	// ScanID is empty without a question.
	ScanID string
	// Seen says that Strava still shows one of the sample: the scan was wrong.
	// Gone counts those of the sample that are not visible any more.
	Seen bool
	Gone int
}

// enoughFailures is how often the re-read of one activity of a question's
// sample may fail before the question is answered without it.
const enoughFailures = 3

const (
	// MaxHints is how many hints an inbox holds.
	MaxHints = 200
	// DigestTTL is how long the digest of a webhook event is kept, to recognise a
	// duplicate. Strava retries for only a few minutes.
	DigestTTL = 3 * 24 * time.Hour
	// pace is the least time between two lists for one athlete's hints, and, after
	// the first paceBurst, between two single re-reads. scarcePace applies while
	// the quota is scarce, scanPace to scans for hints.
	pace       = 15 * time.Second
	scarcePace = time.Minute
	scanPace   = time.Minute
	paceBurst  = 5
	// scanOverhead is how many calls a scan takes besides its pages when it finds
	// deletions: the profile, the end again, and a sample of the missing
	// activities.
	scanOverhead = 6
)

// noteAnswer notes that Strava answered a call for the inbox.
func (m *Inbox) noteAnswer(r Reading) {
	m.Job = Job{Class: m.Job.Class, Due: m.Job.Due}
	m.FailedOn, m.Scarce = 0, r.Scarce
}

// requestGather makes the next action a list of the newest activities, for an
// athlete who asked for it. A lease on the inbox stays.
func (m *Inbox) requestGather(now time.Time) {
	m.GatherRequested = true
	m.makeDue(quota.Interactive, now)
}

// makeDue makes the job due now, or at its retry after a failure, unless it is
// due earlier. So a hint that waits does not delay a new request. A job without
// a class gets this one.
func (m *Inbox) makeDue(class quota.Class, now time.Time) {
	if due := latest(now, m.Job.RetryAt); m.Job.Class == "" {
		m.Job.Class, m.Job.Due = class, due
	} else if due.Before(m.Job.Due) {
		m.Job.Due = due
	}
}

// addQuestion adds hints to look for a sample of the activities that a scan did
// not find. If the inbox has room for none of them, the next scan leads to the
// same question.
func (m *Inbox) addQuestion(scanID string, sample []int64, now time.Time) {
	hints := m.Hints
	for _, id := range sample {
		if len(hints) < MaxHints {
			hints = append(hints, Hint{Aspect: AspectMissing, ActivityID: id, ReceivedAt: now.UTC(), Unlisted: true})
		}
	}
	if len(hints) > len(m.Hints) {
		m.Question, m.Hints = Question{ScanID: scanID}, hints
		m.makeDue(quota.Webhook, now)
	}
}

// addProfileHint adds a hint to read the profile, which a scan could not read.
func (m *Inbox) addProfileHint(f failure) {
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return h.Aspect == AspectProfile }) {
		return
	}
	h := Hint{Aspect: AspectProfile, ReceivedAt: f.at.UTC(), Failures: 1, FailingSince: f.at.UTC(), Unlisted: true}
	h.NotBefore, _ = f.retry(1, f.at)
	m.Hints = append(m.Hints, h)
}

// answered drops the hints about the activity, and notes for a question whether
// Strava still shows it.
func (m *Inbox) answered(activityID int64, seen bool) {
	about := func(h Hint) bool { return h.Aspect != AspectDeauthorize && h.ActivityID == activityID }
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return about(h) && h.Aspect == AspectMissing }) {
		if m.Question.Seen = m.Question.Seen || seen; !seen {
			m.Question.Gone++
		}
	}
	m.Hints = slices.DeleteFunc(m.Hints, about)
}

// listSize is how many activities a list asks for.
func (m Inbox) listSize() int {
	if m.ListSize == 0 {
		return PageSize
	}
	return m.ListSize
}

// failList reacts to a failed list of the newest activities; Strava may fail to
// show only one of them. The next list is shorter. If there are only a few
// hints, or the list cannot get shorter, their activities are re-read one by
// one. If even the shortest list fails, a gather request is dropped.
func (m *Inbox) failList(now time.Time) {
	shortest := m.listSize() == 1
	if shortest || len(m.hinted(now)) <= paceBurst {
		for i := range m.Hints {
			m.Hints[i].Unlisted = true
		}
	}
	if shortest {
		m.GatherRequested = false
	}
	m.ListSize = narrower(m.listSize())
}

// wider is the next larger size of a page.
func wider(size int) int { return pageSizes[max(slices.Index(pageSizes, size)-1, 0)] }

// eachHint changes the hints about the activity.
func (m *Inbox) eachHint(activityID int64, change func(*Hint)) {
	for i := range m.Hints {
		if m.Hints[i].ActivityID == activityID && m.Hints[i].Aspect != AspectDeauthorize {
			change(&m.Hints[i])
		}
	}
}

// postpone puts off looking for an activity that was not found.
func (m *Inbox) postpone(s activityHints, now time.Time) {
	m.eachHint(s.activityID, func(h *Hint) {
		h.Unlisted, h.Attempts, h.NotBefore = true, s.attempts+1, now.Add(notFoundDelays[s.attempts])
	})
}

// failReread puts off an activity whose re-read failed, and reports whether it
// is quarantined. Other activities go on; the whole inbox waits only if the
// re-read of another activity fails right after it.
func (m *Inbox) failReread(about activityHints, f failure, pages int) (quarantined bool) {
	since := about.failingSince
	if about.failures == 0 {
		since = f.at.UTC()
	}
	failures := f.count(about.failures)
	at, quarantined := f.retry(failures, since)
	if quarantined {
		failures, since = 0, time.Time{}
	}
	m.eachHint(about.activityID, func(h *Hint) {
		h.NotBefore, h.Failures, h.FailingSince = at, failures, since
	})
	if m.Job.Failures > 0 && m.FailedOn != about.activityID {
		m.FailedOn = about.activityID
		return m.Job.fail(f) || quarantined
	}
	if m.FailedOn = about.activityID; m.Job.Failures == 0 {
		m.Job.noteFailure(f)
	}
	m.reschedule(f.at, pages)
	return quarantined
}

// clear drops everything but a deauthorization.
func (m *Inbox) clear() {
	m.Overflowed, m.GatherRequested, m.Question = false, false, Question{}
	m.Hints = slices.DeleteFunc(m.Hints, func(h Hint) bool { return h.Aspect != AspectDeauthorize })
	m.Job = Job{}
}
