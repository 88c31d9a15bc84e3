package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Inbox holds what is to be looked into about one athlete: hints from webhooks,
// and what the athlete or another boundary asked for. It exists as long as the
// athlete's authorization.
type Inbox struct {
	AthleteID int64
	// Generation of the authorization; 0 when there is no inbox.
	Generation int64
	Job        Job
	Hints      []Hint
	// Overflowed says that there were more hints than the inbox holds.
	Overflowed bool
	// RefreshRequested says that the athlete asked for the newest activities.
	RefreshRequested bool
	// ListedAt is when the newest activities, or all, were last read for hints.
	ListedAt time.Time
	// PacedAt is when single re-reads would last have happened, had they been
	// spread evenly, one in each pace.
	PacedAt time.Time
	// ListSize is how many activities the next list asks for; 0 for PageSize. It is
	// smaller after a list that Strava failed to show.
	ListSize int
	// Scarce says that the quota was, at the last call.
	Scarce bool
	// FailedOn is the activity whose re-read failed last; 0 when it was another
	// call that failed, or none.
	FailedOn int64
	// Question is about the last scan.
	Question Question
}

// Question asks whether what a scan did not find is gone.
type Question struct {
	// ScanID is empty without a question.
	ScanID string
	// Seen says that some of it is still there: the scan was wrong. Gone counts
	// what is not.
	Seen bool
	Gone int
}

// enoughFailures is how often the re-read of one of a question's sample may fail
// before the others answer for it.
const enoughFailures = 3

// Hint says that there may be something to read: what a webhook said of an
// activity, or of the authorization, and what is left from another attempt.
type Hint struct {
	// Aspect is Strava's aspect_type, or one of the others below.
	Aspect     string
	ActivityID int64
	// EventTime is Strava's, in Unix seconds.
	EventTime int64
	// ReceivedAt is when it came.
	ReceivedAt time.Time
	// NotBefore is when to look again, after an attempt that found nothing yet or
	// failed.
	NotBefore time.Time
	// Attempts is how often the activity was not there, and Failures how often
	// in a row its re-read failed, since FailingSince.
	Attempts, Failures int
	FailingSince       time.Time
	// Unlisted says that it is not, or need not be, among the newest activities.
	Unlisted bool
}

// Aspects of hints.
const (
	AspectCreate = "create"
	AspectUpdate = "update"
	AspectDelete = "delete"
	// AspectDeauthorize: the athlete is said to have withdrawn access.
	AspectDeauthorize = "deauthorize"
	// AspectMissing: a scan did not find the activity, which is held.
	AspectMissing = "missing"
	// AspectProfile: the athlete's profile could not be read.
	AspectProfile = "profile"
)

const (
	// MaxHints is how many hints an inbox holds.
	MaxHints = 200
	// SeenLife is how long a webhook event is remembered, to know it when it comes
	// again: Strava gives up after minutes.
	SeenLife = 3 * 24 * time.Hour
	// pace is the least time between two lists for one athlete's hints, and,
	// after the first paceBurst, between two single re-reads; scarcePace is the
	// same while the quota is scarce, and scanPace between two scans.
	pace       = 15 * time.Second
	scarcePace = time.Minute
	scanPace   = time.Minute
	paceBurst  = 5
	// scanOverhead is how many calls a scan takes that confirms deletions, besides
	// its pages: the profile, the end twice, and a sample of what is gone.
	scanOverhead = 6
)

// retryDelays are how long an activity that is not there is waited for, each time
// until it is believed not to be, see [activityHints.patience].
var retryDelays = []time.Duration{time.Minute, 10 * time.Minute}

// pace is the least time between two looks.
func (m Inbox) pace() time.Duration {
	if m.Scarce {
		return scarcePace
	}
	return pace
}

// activityHints are all hints about one activity, or about the profile.
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

// patience is how often an activity may not be there and is still looked for
// again. A webhook that says so, or a scan that missed it, needs no more evidence.
// Without either, one answer is not enough. Of a new activity Strava sends the
// webhook before it has processed the upload.
func (s activityHints) patience() int {
	switch {
	case s.deleted, s.missing:
		return 0
	case s.created:
		return len(retryDelays)
	}
	return 1
}

// byFailures has what failed least come first.
func byFailures(a, b activityHints) int { return a.failures - b.failures }

// hinted are what the hints that are ripe are about, the oldest first.
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

// action is what to do next about an inbox.
type action struct {
	do string
	// at is when it may be done.
	at time.Time
	// about is what to re-read.
	about activityHints
}

// Actions.
const (
	doNothing = "nothing"
	doReport  = "report" // a deauthorization, to credentials
	doAnswer  = "answer" // the question about a scan
	doScan    = "scan"   // all of the history
	doList    = "list"   // the newest activities
	doReread  = "re-read"
)

// next decides what to do next. One list answers all hints about recent
// activities at once; what it does not hold is re-read one by one. A complete
// scan answers everything; pages is how many it takes.
func (m Inbox) next(now time.Time, pages int) action {
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return h.Aspect == AspectDeauthorize }) {
		return action{do: doReport, at: now}
	}
	open := func(h Hint) bool { return h.Aspect == AspectMissing && h.Failures < enoughFailures }
	if m.Question.ScanID != "" && !slices.ContainsFunc(m.Hints, open) {
		return action{do: doAnswer, at: now}
	}
	hinted := m.hinted(now)
	if len(hinted) == 0 && !m.Overflowed && !m.RefreshRequested {
		if len(m.Hints) == 0 {
			return action{do: doNothing}
		}
		first := slices.MinFunc(m.Hints, func(a, b Hint) int { return a.NotBefore.Compare(b.NotBefore) })
		return action{do: doReread, at: first.NotBefore}
	}
	deletes, listable, created := 0, 0, false
	for _, s := range hinted {
		if s.deleted {
			deletes++
		}
		if !s.unlisted {
			listable++
			created = created || s.created && !s.deleted
		}
	}
	switch {
	case m.Overflowed, deletes > pages+scanOverhead:
		return action{do: doScan, at: m.ListedAt.Add(scanPace)}
	case created, listable > 1, m.RefreshRequested:
		return action{do: doList, at: m.ListedAt.Add(m.pace())}
	}
	return action{do: doReread, at: m.PacedAt.Add(-(paceBurst - 1) * m.pace()), about: slices.MinFunc(hinted, byFailures)}
}

// reschedule puts the inbox where it waits for its next action.
func (m *Inbox) reschedule(now time.Time, pages int) {
	a := m.next(now, pages)
	switch {
	case a.do == doNothing:
		m.Job = Job{}
	case a.do == doReport:
		m.Job.reschedule(quota.Leave, now)
		m.Job.Due = now // No call to Strava, so nothing to wait for.
	case len(m.Hints) == 0 && !m.Overflowed && m.Question.ScanID == "":
		m.Job.reschedule(quota.Interactive, latest(now, a.at))
	default:
		m.Job.reschedule(quota.Webhook, latest(now, a.at))
	}
}

// served notes that Strava answered a call for the inbox.
func (m *Inbox) served(r Reading) {
	m.Job = Job{Class: m.Job.Class, Due: m.Job.Due}
	m.FailedOn, m.Scarce = 0, r.Scarce
}

// requestRefresh has the newest activities listed for the athlete, who is
// looking. A lease on the inbox stays.
func (m *Inbox) requestRefresh(now time.Time) {
	m.RefreshRequested = true
	m.hasten(quota.Interactive, now)
}

// hasten makes the job due now, or when it is to be retried; in the class, if it
// has none. Whatever else the inbox holds may wait for much later.
func (m *Inbox) hasten(class quota.Class, now time.Time) {
	if due := latest(now, m.Job.RetryAt); m.Job.Class == "" {
		m.Job.Class, m.Job.Due = class, due
	} else if due.Before(m.Job.Due) {
		m.Job.Due = due
	}
}

// ask has the sample of activities looked for that a scan did not find. Without
// room for any of it the next scan has to ask again.
func (m *Inbox) ask(scanID string, sample []int64, now time.Time) {
	hints := slices.Clone(m.Hints)
	for _, id := range sample {
		if len(hints) < MaxHints {
			hints = append(hints, Hint{Aspect: AspectMissing, ActivityID: id, ReceivedAt: now.UTC(), Unlisted: true})
		}
	}
	if len(hints) > len(m.Hints) {
		m.Question, m.Hints = Question{ScanID: scanID}, hints
		m.hasten(quota.Webhook, now)
	}
}

// oweProfile has the profile read that a scan could not read.
func (m *Inbox) oweProfile(f failure) {
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return h.Aspect == AspectProfile }) {
		return
	}
	h := Hint{Aspect: AspectProfile, ReceivedAt: f.at.UTC(), Failures: 1, FailingSince: f.at.UTC(), Unlisted: true}
	h.NotBefore, _ = f.retry(1, f.at)
	m.Hints = append(slices.Clone(m.Hints), h)
}

// answered drops the hints about the activity. seen says that Strava shows it.
func (m *Inbox) answered(activityID int64, seen bool) {
	about := func(h Hint) bool { return h.Aspect != AspectDeauthorize && h.ActivityID == activityID }
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return about(h) && h.Aspect == AspectMissing }) {
		if m.Question.Seen = m.Question.Seen || seen; !seen {
			m.Question.Gone++
		}
	}
	m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), about)
}

// listSize is how many activities a list asks for.
func (m Inbox) listSize() int {
	if m.ListSize == 0 {
		return PageSize
	}
	return m.ListSize
}

// failList takes in that Strava could not list the newest activities: it may fail
// to show only one of them. A few hints are then looked into one by one; for more
// of them a shorter list is tried first. An athlete who asked for the newest has
// to ask again once even the shortest fails.
func (m *Inbox) failList(now time.Time) {
	shortest := m.listSize() == 1
	if shortest || len(m.hinted(now)) <= paceBurst {
		m.Hints = slices.Clone(m.Hints)
		for i := range m.Hints {
			m.Hints[i].Unlisted = true
		}
	}
	if shortest {
		m.RefreshRequested = false
	}
	m.ListSize = narrower(m.listSize())
}

// wider is the next larger size of a page.
func wider(size int) int { return pageSizes[max(slices.Index(pageSizes, size)-1, 0)] }

// each changes the hints about the activity.
func (m *Inbox) each(activityID int64, change func(*Hint)) {
	m.Hints = slices.Clone(m.Hints)
	for i := range m.Hints {
		if m.Hints[i].ActivityID == activityID && m.Hints[i].Aspect != AspectDeauthorize {
			change(&m.Hints[i])
		}
	}
}

// postpone has an activity that is not there looked for again after a while.
func (m *Inbox) postpone(s activityHints, now time.Time) {
	m.each(s.activityID, func(h *Hint) {
		h.Unlisted, h.Attempts, h.NotBefore = true, s.attempts+1, now.Add(retryDelays[s.attempts])
	})
}

// failReread takes in that one activity could not be re-read, and reports
// whether it is parked. It waits by itself, and holds up no other: only when
// another one fails right after it the whole inbox waits.
func (m *Inbox) failReread(about activityHints, f failure, pages int) (parked bool) {
	since := about.failingSince
	if about.failures == 0 {
		since = f.at.UTC()
	}
	failures := f.count(about.failures)
	at, parked := f.retry(failures, since)
	if parked {
		failures, since = 0, time.Time{}
	}
	m.each(about.activityID, func(h *Hint) {
		h.NotBefore, h.Failures, h.FailingSince = at, failures, since
	})
	if m.Job.Failures > 0 && m.FailedOn != about.activityID {
		m.FailedOn = about.activityID
		return m.Job.fail(f) || parked
	}
	if m.FailedOn = about.activityID; m.Job.Failures == 0 {
		m.Job.noteFailure(f)
	}
	m.reschedule(f.at, pages)
	return parked
}

// empty forgets everything but a deauthorization.
func (m *Inbox) empty() {
	m.Overflowed, m.RefreshRequested, m.Question = false, false, Question{}
	m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), func(h Hint) bool { return h.Aspect != AspectDeauthorize })
	m.Job = Job{}
}

// expire drops the hints that are too old to be kept and reports whether there
// were any. The inbox overflows instead: reading everything makes up for them.
// A deauthorization stays until it is reported.
func (m *Inbox) expire(now time.Time) bool {
	old := func(h Hint) bool { return h.Aspect != AspectDeauthorize && now.Sub(h.ReceivedAt) >= keepAge }
	if !slices.ContainsFunc(m.Hints, old) {
		return false
	}
	m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), old)
	m.Overflowed = true
	m.Question = Question{} // The next scan asks again.
	m.Job.release()         // Its holder holds what is gone.
	return true
}
