package activity

import (
	"cmp"
	"math"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Authorization is one authorization of an athlete. A later one of the same
// athlete has a larger generation.
type Authorization struct {
	AthleteID  int64
	Generation int64
}

// ErrRevoked means that the authorization is over: nothing may be read or
// written in its name.
var ErrRevoked = fault.New(fault.Permanent, "the authorization is revoked")

// ErrNotFound means that the athlete has no such activity.
var ErrNotFound = fault.New(fault.NotFound, "no such activity")

// Reading is what Strava showed of some activities at one time.
type Reading struct {
	By Authorization
	// At is when the request to Strava began, in whole milliseconds.
	At time.Time
	// Activities have different, positive ids.
	Activities []gatheringv1.Activity
}

// Deletion is a reading that found an activity missing.
type Deletion struct {
	By Authorization
	// At is when the request to Strava began, in whole milliseconds.
	At         time.Time
	ActivityID int64
}

// inMillis returns t without fractions of a millisecond, as stores hold times.
// Times that are compared with each other all lose them, so that their order
// stays.
func inMillis(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

// Position is a place in an athlete's history, which is ordered by start and,
// among activities that start in the same second, by id.
type Position struct {
	// Start is in Unix seconds.
	Start int64
	ID    int64
}

// Compare orders positions as the history does.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Start, q.Start), cmp.Compare(p.ID, q.ID))
}

// Less reports whether p comes earlier in the history than q.
func (p Position) Less(q Position) bool { return p.Compare(q) < 0 }

// The first and the last second that has a four-digit year, as RFC 3339 needs.
var (
	MinStart = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	MaxStart = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
)

// PositionOf returns the place of an activity. It fails with [fault.Invalid] if
// the id or the start is not usable.
func PositionOf(a gatheringv1.Activity) (Position, error) {
	start, err := time.Parse(time.RFC3339, a.StartDate)
	if err != nil {
		return Position{}, fault.New(fault.Invalid, "start_date is not in RFC 3339")
	}
	p := Position{Start: start.Unix(), ID: a.ID}
	if p.ID <= 0 || p.Start < MinStart || p.Start > MaxStart {
		return Position{}, fault.New(fault.Invalid, "id or start_date is out of range")
	}
	return p, nil
}

// Range is the part of a history from From up to, but without, To.
type Range struct{ From, To Position }

// Everything is the whole history.
func Everything() Range {
	return Range{From: Position{Start: MinStart}, To: Position{Start: MaxStart, ID: math.MaxInt64}}
}

// Contains reports whether p lies in the range.
func (r Range) Contains(p Position) bool { return !p.Less(r.From) && p.Less(r.To) }

// Check fails with [fault.Invalid] if the activity cannot be stored: its id or
// its start is not usable, or a measure is out of range.
func Check(a gatheringv1.Activity) error {
	if _, err := PositionOf(a); err != nil {
		return err
	}
	if _, err := localDay(a.StartDateLocal); err != nil {
		return err
	}
	for _, measure := range []float64{a.Distance, a.TotalElevationGain, float64(a.MovingTime), float64(a.ElapsedTime)} {
		if !(math.Abs(measure) <= maxMeasure) {
			return fault.New(fault.Invalid, "a measure is out of range")
		}
	}
	return nil
}
