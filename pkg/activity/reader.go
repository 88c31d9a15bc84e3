package activity

import (
	"context"
	"slices"
	"time"
)

// Reader answers an athlete's questions. by is the authorization that the
// athlete's session was opened under; each method fails with [ErrRevoked] when
// that is over. What was not read again for the time of [Retention] is no longer
// there, whether it is already deleted or not.
type Reader struct {
	Store ReadStore
	Now   func() time.Time
}

// readAfter is the time that what may be shown was read after.
func (r *Reader) readAfter() time.Time { return r.Now().Add(-Retention) }

// Page is a stretch of a history, newest first.
type Page struct {
	// Rows are of activities that are there.
	Rows []Row
	// Next is where the following page ends, i.e. its Range.To; nil when there is
	// nothing more. A page with a next one may be short, and even empty: then it
	// has come to the end of its [SearchDepth].
	Next *Position
}

// List gives the newest activities of the selection that may be shown.
func (r *Reader) List(ctx context.Context, by Authorization, s Selection) (Page, error) {
	s.ReadAfter = r.readAfter()
	return r.Store.List(ctx, by, s)
}

// Get fails with [ErrNotFound] when the athlete has no such activity.
func (r *Reader) Get(ctx context.Context, by Authorization, activityID int64) (Row, error) {
	row, err := r.Store.Get(ctx, by, activityID)
	if err != nil {
		return Row{}, err
	}
	if row.Activity == nil || !row.ReadAt.After(r.readAfter()) {
		return Row{}, ErrNotFound
	}
	return row, nil
}

// Stats adds up all activities of the sport type; all there are if that is
// empty.
func (r *Reader) Stats(ctx context.Context, by Authorization, period Period, sportType string) (Stats, error) {
	tallies, err := r.Store.Tallies(ctx, by)
	if err != nil {
		return Stats{}, err
	}
	after := r.readAfter()
	for _, t := range tallies {
		if t.Oldest().After(after) {
			continue
		}
		// The tally may hold what is too old: only the activities can tell.
		rows, err := r.Store.Rows(ctx, by.AthleteID)
		if err != nil {
			return Stats{}, err
		}
		rows = slices.DeleteFunc(rows, func(row Row) bool { return !row.ReadAt.After(after) })
		return Summarize(Tallies(rows), period, sportType)
	}
	return Summarize(tallies, period, sportType)
}

// Sync tells how far the gathering is.
func (r *Reader) Sync(ctx context.Context, by Authorization) (Status, error) {
	s, err := r.Store.Sync(ctx, by)
	return s.Status(r.readAfter()), err
}
