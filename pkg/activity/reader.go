package activity

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/kit/retention"
)

// Reader answers an athlete's queries. by is the authorization of the athlete's
// session; each method fails with [ErrRevoked] if it is over. Activities that
// were not read again for [retention.StravaData] are treated as missing,
// whether they are deleted yet or not.
type Reader struct {
	Store ReadStore
	Now   func() time.Time
}

// readAfter is the time after which an activity must have been read to be
// shown.
func (r *Reader) readAfter() time.Time { return r.Now().Add(-retention.StravaData) }

// Page is a part of a history, newest first.
type Page struct {
	// Records have an activity each.
	Records []Record
	// Next is the Range.To of the following page; nil on the last page. A page
	// with a next one may be short, and even empty, if it has reached
	// [SearchDepth].
	Next *Position
}

// List returns the newest activities of the selection that may be shown.
func (r *Reader) List(ctx context.Context, by Authorization, s Selection) (Page, error) {
	s.ReadAfter = r.readAfter()
	return r.Store.List(ctx, by, s)
}

// Get returns an activity. It fails with [ErrNotFound] if the athlete has no
// such activity.
func (r *Reader) Get(ctx context.Context, by Authorization, activityID int64) (Record, error) {
	record, err := r.Store.Get(ctx, by, activityID)
	if err != nil {
		return Record{}, err
	}
	if record.Activity == nil || !record.ReadAt.After(r.readAfter()) {
		return Record{}, ErrNotFound
	}
	return record, nil
}

// Stats returns the totals of all activities of the sport type; of all sport
// types if that is empty.
func (r *Reader) Stats(ctx context.Context, by Authorization, period Period, sportType string) (Stats, error) {
	totals, err := r.Store.MonthlyTotals(ctx, by)
	if err != nil {
		return Stats{}, err
	}
	after := r.readAfter()
	for _, t := range totals {
		if t.Oldest().After(after) {
			continue
		}
		// The totals may include an activity that is too old, so the activities
		// themselves are added up.
		records, err := r.Store.Records(ctx, by.AthleteID)
		if err != nil {
			return Stats{}, err
		}
		records = slices.DeleteFunc(records, func(record Record) bool { return !record.ReadAt.After(after) })
		return Summarize(TotalsByMonth(records), period, sportType)
	}
	return Summarize(totals, period, sportType)
}

// Sync returns the progress of the gathering.
func (r *Reader) Sync(ctx context.Context, by Authorization) (Progress, error) {
	s, err := r.Store.Sync(ctx, by)
	return s.Progress(r.readAfter()), err
}
