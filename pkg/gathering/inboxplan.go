package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

// pace is the least time between two calls for hints.
func (m Inbox) pace() time.Duration {
	if m.Scarce {
		return scarcePace
	}
	return pace
}

// action is the next thing to do for an inbox.
type action struct {
	do string
	// at is when it may be done.
	at time.Time
	// about is the activity to re-read.
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
// activities; those that it does not hold are re-read one by one. A scan
// answers everything; pages is how many it takes.
func (m Inbox) next(now time.Time, pages int) action {
	if slices.ContainsFunc(m.Hints, func(h Hint) bool { return h.Aspect == AspectDeauthorize }) {
		return action{do: doReport, at: now}
	}
	open := func(h Hint) bool { return h.Aspect == AspectMissing && h.Failures < enoughFailures }
	if m.Question.ScanID != "" && !slices.ContainsFunc(m.Hints, open) {
		return action{do: doAnswer, at: now}
	}
	hinted := m.hinted(now)
	if len(hinted) == 0 && !m.Overflowed && !m.GatherRequested {
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
	case created, listable > 1, m.GatherRequested:
		return action{do: doList, at: m.ListedAt.Add(m.pace())}
	}
	return action{do: doReread, at: m.PacedAt.Add(-(paceBurst - 1) * m.pace()), about: slices.MinFunc(hinted, byFailures)}
}

// reschedule queues the inbox for its next action.
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
