package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// State of an athlete's authorization as this boundary knows it.
type State string

// The states.
const (
	Active   State = "active"
	Degraded State = "degraded"
	Revoked  State = "revoked"
)

// Authorization is one authorization of an athlete. A later one of the same
// athlete has a larger generation.
type Authorization struct{ AthleteID, Generation int64 }

// Athlete is the gathering state of an athlete.
type Athlete struct {
	ID int64
	// Generation of the authorization; 0 when there never was one.
	Generation int64
	State      State
	// RevokedAt is zero unless the state is revoked.
	RevokedAt time.Time
	// JoinedAt is when the athlete joined Strava; zero unless a running scan needs
	// it for its estimate.
	JoinedAt time.Time
	// ProfileReadAt is when JoinedAt was read; zero if JoinedAt is zero.
	// [Scan.Oldest] is always read later.
	ProfileReadAt time.Time
	// Scan is the present scan, or the last one until the next begins.
	Scan Scan
	// Job is the job of the present scan, or of the next one.
	Job Job
	// Last is the last complete scan; zero when there is none.
	Last CompletedScan
	// Holes are the stretches that the next scan goes around, the newest first.
	Holes []Hole
	// WrongScans counts the scans in a row that missed activities which Strava
	// still shows. WrongScanAt is when the last of them was found out.
	WrongScans  int
	WrongScanAt time.Time
}

func (a Athlete) authorization() Authorization { return Authorization{a.ID, a.Generation} }

// TombstoneUntil returns until when a revoked athlete is kept as a tombstone;
// zero for others.
func (a Athlete) TombstoneUntil() time.Time {
	if a.RevokedAt.IsZero() {
		return time.Time{}
	}
	return a.RevokedAt.Add(retention.Tombstone)
}

// Clone returns a copy that shares nothing.
func (a Athlete) Clone() Athlete {
	s := &a.Scan
	s.Stretches, s.Holes, s.RecentPages = slices.Clone(s.Stretches), slices.Clone(s.Holes), slices.Clone(s.RecentPages)
	a.Holes = slices.Clone(a.Holes)
	return a
}

// CompletedScan sums up a completed scan.
type CompletedScan struct {
	Started, Finished time.Time
	// Pages counts the pages that had activities, Activities the activities found.
	Pages, Activities int
}

// lapsed reports whether the data that the scan found is too old to be kept, or
// there was no scan.
func (c CompletedScan) lapsed(now time.Time) bool { return now.Sub(c.Started) > retention.StravaData }

// degrade notes that nothing can be read until the athlete connects again, and
// reports whether that has changed anything. A completed scan waits, too, since
// nothing keeps its data current. Waiting may last for ever and a new
// authorization starts over, so all of Strava's data is dropped, including
// counts of activities.
func (a *Athlete) degrade() bool {
	if a.State != Active {
		return false
	}
	*a = Athlete{ID: a.ID, Generation: a.Generation, State: Degraded, Scan: Scan{
		ID: a.Scan.ID, StartedAt: a.Scan.StartedAt,
		Sequence: a.Scan.Sequence + 1, State: gatheringv1.ScanWaiting, WaitingFor: gatheringv1.WaitingForReconnect,
	}}
	return true
}
