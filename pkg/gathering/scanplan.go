package gathering

import (
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Ages of a completed scan. At the age [retention.StravaData] the data that it
// found is not kept any longer.
const (
	// sweepAge: the scan may be repeated if no other work needs the quota.
	sweepAge = 24 * time.Hour
	// reconcileAge: the scan has to be repeated.
	reconcileAge = 4 * 24 * time.Hour
	// pageDelay is how much later a scan is due for each of its pages, up to
	// maxPageDelay: cheap scans go first, so that a shortage of quota affects as
	// few athletes as possible.
	pageDelay    = 30 * time.Minute
	maxPageDelay = 48 * time.Hour
	// promoteAfter is how long a scan is due in class spare before plan moves it
	// to class reconcile.
	promoteAfter = reconcileAge - sweepAge
)

// wrongScanDelays are the waits before a wrong scan is repeated. They grow, so
// that a list that stays wrong costs few calls.
var wrongScanDelays = []time.Duration{time.Minute, 30 * time.Minute, 4 * time.Hour, 12 * time.Hour}

const (
	// wrongScanMemory is how long after a wrong scan the next ones use smaller
	// pages: one size smaller for each wrong scan in a row, up to
	// maxWrongScanSteps. After more wrong scans the pages are large again, since a
	// long history in small pages costs hundreds of calls.
	wrongScanMemory   = 24 * time.Hour
	maxWrongScanSteps = 3
)

// overdue reports whether the scan comes too late: the data that it would renew
// is no longer kept.
func (a *Athlete) overdue(now time.Time) bool {
	return a.Job.Class == quota.Reconcile && a.Last.lapsed(now)
}

// plan queues the next scan. If the last one began before gapEnd, the end of
// the last gap in the webhooks, the next one is due at once.
func (a *Athlete) plan(now, gapEnd time.Time) {
	delay := min(time.Duration(a.Last.Pages)*pageDelay, maxPageDelay)
	must := a.Last.Started.Add(reconcileAge + delay)
	switch {
	case a.Last.lapsed(now):
		a.Job.reschedule(quota.Backfill, now)
	case a.Last.Started.Before(gapEnd):
		// This due time puts the scan ahead of all others of its class.
		a.Job.reschedule(quota.Reconcile, gapEnd.Add(delay-retention.StravaData-maxPageDelay))
	case !must.After(now):
		a.Job.reschedule(quota.Reconcile, must)
	default:
		a.Job.reschedule(quota.Spare, a.Last.Started.Add(sweepAge+delay))
	}
}

// noteWrongScan plans another scan after one that missed activities that Strava
// still shows. It uses smaller pages, because a single page may be wrong.
func (a *Athlete) noteWrongScan(now time.Time) {
	if now.Sub(a.WrongScanAt) >= wrongScanMemory {
		a.WrongScans = 0
	}
	delay := wrongScanDelays[min(a.WrongScans, len(wrongScanDelays)-1)]
	a.WrongScans, a.WrongScanAt = a.WrongScans+1, now.UTC()
	a.restart(now)
	a.Job.reschedule(quota.Reconcile, now.Add(delay))
}
