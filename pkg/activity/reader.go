package activity

import (
	"context"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Reader answers an athlete's questions. by is the authorization that the
// athlete's session was opened under; each method fails with [ErrRevoked] when
// that is over.
type Reader struct{ Store ReadStore }

// Page is a stretch of a history, newest first.
type Page struct {
	Activities []gatheringv1.Activity
	// Next is where the following page ends, i.e. its Range.To; nil exactly when
	// there is nothing more.
	Next *Position
}

// List gives the newest activities in the range, at most limit of them; those
// of one sport type only unless that is empty.
func (r *Reader) List(ctx context.Context, by Authorization, in Range, sportType string, limit int) (Page, error) {
	if err := r.admit(ctx, by); err != nil {
		return Page{}, err
	}
	// One more than asked for tells whether there is another page.
	found, err := r.Store.List(ctx, by.AthleteID, in, sportType, limit+1)
	if err != nil || len(found) <= limit {
		return Page{Activities: found}, err
	}
	found = found[:limit]
	last, err := PositionOf(found[limit-1])
	return Page{Activities: found, Next: &last}, err
}

// Get fails with [ErrNotFound] when the athlete has no such activity.
func (r *Reader) Get(ctx context.Context, by Authorization, activityID int64) (gatheringv1.Activity, error) {
	if err := r.admit(ctx, by); err != nil {
		return gatheringv1.Activity{}, err
	}
	return r.Store.Get(ctx, by.AthleteID, activityID)
}

// Stats adds up all activities of the sport type; all there are if that is
// empty.
func (r *Reader) Stats(ctx context.Context, by Authorization, period Period, sportType string) (Stats, error) {
	if err := r.admit(ctx, by); err != nil {
		return Stats{}, err
	}
	efforts, err := r.Store.Efforts(ctx, by.AthleteID, sportType)
	if err != nil {
		return Stats{}, err
	}
	return Summarize(efforts, period)
}

// Sync tells how far the gathering is.
func (r *Reader) Sync(ctx context.Context, by Authorization) (Status, error) {
	if err := r.admit(ctx, by); err != nil {
		return Status{}, err
	}
	s, err := r.Store.Sync(ctx, by.AthleteID)
	return s.Status(), err
}

func (r *Reader) admit(ctx context.Context, by Authorization) error {
	revoked, err := r.Store.Revoked(ctx, by.AthleteID)
	if err == nil && by.Generation <= revoked {
		err = ErrRevoked
	}
	return err
}
