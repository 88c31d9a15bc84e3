package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Inbox holds what webhooks said about one athlete and nobody has looked into
// yet. It exists as long as the athlete's authorization.
type Inbox struct {
	AthleteID int64
	// Generation of the authorization; 0 when there is no mailbox.
	Generation int64
	Job        Job
	Hints      []Hint
	// Overflowed says that there were more hints than the mailbox holds.
	Overflowed bool
	// RefreshRequested says that the athlete asked for the newest activities.
	RefreshRequested bool
	// ListedAt is when the newest activities, or all, were last read for hints.
	ListedAt time.Time
	// PacedAt is when single re-reads would last have happened, had they been
	// spread evenly, one every [pace].
	PacedAt time.Time
}

// Hint is what a webhook said of an activity, or of the authorization.
type Hint struct {
	// Aspect is Strava's aspect_type, or [AspectDeauthorize].
	Aspect     string
	ActivityID int64
	// EventTime is Strava's, in Unix seconds.
	EventTime int64
	// ReceivedAt is when it came.
	ReceivedAt time.Time
	// NotBefore is when to look again for an activity that was not there yet.
	NotBefore time.Time
	// Attempts is how often it was not there.
	Attempts int
	// Unlisted says that it was not among the newest activities.
	Unlisted bool
}

// Aspects of hints.
const (
	AspectCreate = "create"
	AspectUpdate = "update"
	AspectDelete = "delete"
	// AspectDeauthorize: the athlete is said to have withdrawn access.
	AspectDeauthorize = "deauthorize"
)

const (
	// MaxHints is how many hints a mailbox holds.
	MaxHints = 200
	// SeenLife is how long a notice is remembered, to know it when it comes
	// again: Strava gives up after minutes.
	SeenLife = 3 * 24 * time.Hour
	// pace is the least time between two lists or scans for one athlete's hints, and,
	// after the first paceBurst, between two single re-reads.
	pace      = time.Minute
	paceBurst = 5
)

// patience is how long a new activity that is not there is waited for, each time
// until it is believed not to be: Strava sends webhooks before it has processed
// an upload.
var patience = []time.Duration{time.Minute, 10 * time.Minute}

// subject is what there is to find out about one activity.
type subject struct {
	activityID       int64
	created, deleted bool
	unlisted         bool
	attempts         int
	// eventTime is that of the last hint.
	eventTime int64
}

// subjects are what the hints that are ripe are about, the oldest first.
func (m Inbox) subjects(now time.Time) []subject {
	var out []subject
	for _, h := range m.Hints {
		if h.Aspect == AspectDeauthorize || h.NotBefore.After(now) {
			continue
		}
		i := slices.IndexFunc(out, func(s subject) bool { return s.activityID == h.ActivityID })
		if i < 0 {
			i = len(out)
			out = append(out, subject{activityID: h.ActivityID})
		}
		s := &out[i]
		s.created = s.created || h.Aspect == AspectCreate
		s.deleted = s.deleted || h.Aspect == AspectDelete
		s.unlisted = s.unlisted || h.Unlisted
		s.attempts = max(s.attempts, h.Attempts)
		s.eventTime = max(s.eventTime, h.EventTime)
	}
	return out
}

// errand is the next thing to do about a mailbox.
type errand struct {
	do string
	// at is when it may be done.
	at time.Time
	// subject is whom to re-read.
	subject subject
}

// Errands.
const (
	doNothing = "nothing"
	doReport  = "report" // a deauthorization, to credentials
	doScan    = "scan"   // all of the history
	doList    = "list"   // the newest activities
	doReread  = "re-read"
)

// errand decides what to do next. One list answers all hints about recent
// activities at once; what it does not hold is re-read one by one. A complete
// scan answers everything; pages is how many it takes.
func (m Inbox) errand(now time.Time, pages int) errand {
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return h.Aspect == AspectDeauthorize }) {
		return errand{do: doReport, at: now}
	}
	subjects := m.subjects(now)
	if len(subjects) == 0 && !m.Overflowed && !m.RefreshRequested {
		if len(m.Hints) == 0 {
			return errand{do: doNothing}
		}
		first := slices.MinFunc(m.Hints, func(a, b Hint) int { return a.NotBefore.Compare(b.NotBefore) })
		return errand{do: doReread, at: first.NotBefore}
	}
	deletes, listable, created := 0, 0, false
	for _, s := range subjects {
		if s.deleted {
			deletes++
		}
		if !s.unlisted {
			listable++
			created = created || s.created && !s.deleted
		}
	}
	switch {
	case m.Overflowed, deletes > pages+1:
		return errand{do: doScan, at: m.ListedAt.Add(pace)}
	case created, listable > 1, m.RefreshRequested:
		return errand{do: doList, at: m.ListedAt.Add(pace)}
	}
	return errand{do: doReread, at: m.PacedAt.Add(-(paceBurst - 1) * pace), subject: subjects[0]}
}

// settle puts the mailbox where it waits for its next turn.
func (m *Inbox) settle(now time.Time, pages int) {
	e := m.errand(now, pages)
	switch {
	case e.do == doNothing:
		m.Job = Job{}
	case e.do == doReport:
		m.Job.next(quota.Leave, now)
	case len(m.Hints) == 0 && !m.Overflowed:
		m.Job.next(quota.Interactive, latest(now, e.at))
	default:
		m.Job.next(quota.Webhook, latest(now, e.at))
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// ask has the newest activities listed for the athlete, who is looking. Whoever
// holds the mailbox keeps it.
func (m *Inbox) ask(now time.Time) {
	m.RefreshRequested = true
	if m.Job.Class == "" {
		m.Job.Class, m.Job.Due = quota.Interactive, now
	}
}

// answered drops the hints about the activities.
func (m *Inbox) answered(activityIDs ...int64) {
	m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), func(h Hint) bool {
		return h.Aspect != AspectDeauthorize && slices.Contains(activityIDs, h.ActivityID)
	})
}

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
func (m *Inbox) postpone(s subject, now time.Time) {
	m.each(s.activityID, func(h *Hint) {
		h.Unlisted, h.Attempts, h.NotBefore = true, s.attempts+1, now.Add(patience[s.attempts])
	})
}

// rotate has the subject that comes first come last: one that fails holds no
// other up.
func (m *Inbox) rotate(now time.Time) {
	subjects := m.subjects(now)
	if len(subjects) < 2 {
		return
	}
	of := func(h Hint) bool { return h.ActivityID == subjects[0].activityID && h.Aspect != AspectDeauthorize }
	failed := slices.DeleteFunc(slices.Clone(m.Hints), func(h Hint) bool { return !of(h) })
	m.Hints = append(slices.DeleteFunc(slices.Clone(m.Hints), of), failed...)
}

// empty forgets all hints but that of a deauthorization.
func (m *Inbox) empty() {
	m.Overflowed, m.RefreshRequested = false, false
	m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), func(h Hint) bool { return h.Aspect != AspectDeauthorize })
	m.Job = Job{}
}

// expire drops the hints that are too old to be kept and reports whether there
// were any. The mailbox is flooded instead: to read everything makes up for them.
// A deauthorization stays until it is reported.
func (m *Inbox) expire(now time.Time) bool {
	old := func(h Hint) bool { return h.Aspect != AspectDeauthorize && now.Sub(h.ReceivedAt) >= keepAge }
	if !slices.ContainsFunc(m.Hints, old) {
		return false
	}
	m.Hints = slices.DeleteFunc(slices.Clone(m.Hints), old)
	m.Overflowed = true
	m.Job.release() // Whoever holds the mailbox holds what is gone.
	return true
}
