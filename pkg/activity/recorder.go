package activity

import (
	"context"
	"errors"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Recorder consumes events. Its methods are idempotent, and they ignore events
// of a revoked authorization.
type Recorder struct {
	Store     WriteStore
	Publisher Publisher
	Events    event.Factory
}

// ActivitiesGathered stores the activities and then counts them to their scan.
// If one of them is malformed, it stores none and fails with [fault.Permanent].
func (r *Recorder) ActivitiesGathered(ctx context.Context, cause event.Meta, f gatheringv1.ActivitiesGathered) error {
	if r.tooOld(f.ReadAt) {
		return nil
	}
	by := Authorization{f.AthleteID, f.Generation}
	reading := Reading{By: by, At: inMillis(f.ReadAt)}
	seen := map[int64]bool{}
	for _, a := range f.Activities {
		if err := Check(a); err != nil {
			return fault.New(fault.Permanent, "one of the activities: %w", err)
		}
		if !seen[a.ID] {
			seen[a.ID] = true
			reading.Activities = append(reading.Activities, a)
		}
	}
	if err := r.Store.Put(ctx, reading); err != nil {
		return ignoreRevoked(err)
	}
	if f.Chunk == nil {
		return nil
	}
	return r.updateSync(ctx, cause, by, f.Chunk.ScanID, func(s *Sync) bool {
		return s.Store(f.Generation, *f.Chunk, StoredChunk{Activities: len(reading.Activities), ReadAt: reading.At})
	})
}

// ActivityGone stores that Strava no longer shows the activity.
func (r *Recorder) ActivityGone(ctx context.Context, _ event.Meta, f gatheringv1.ActivityGone) error {
	if r.tooOld(f.ReadAt) {
		return nil
	}
	deletion := Deletion{By: Authorization{f.AthleteID, f.Generation}, At: inMillis(f.ReadAt), ActivityID: f.ActivityID}
	return ignoreRevoked(r.Store.PutDeletion(ctx, deletion))
}

// ScanProgressed stores the report of a scan.
func (r *Recorder) ScanProgressed(ctx context.Context, cause event.Meta, f gatheringv1.ScanProgressed) error {
	if r.tooOld(cause.OccurredAt) {
		return nil
	}
	by := Authorization{f.AthleteID, f.Generation}
	return r.updateSync(ctx, cause, by, f.ScanID, func(s *Sync) bool { return s.Report(f) })
}

// AthleteAuthorized stores the coverage of the authorization and deletes
// activities that are no longer covered.
func (r *Recorder) AthleteAuthorized(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
	return r.authorize(ctx, cause, Authorization{f.AthleteID, f.Generation}, CoverageOf(f.Scopes))
}

// AuthorizationDegraded deletes all activities if the athlete withdrew the
// right to read them at Strava. For other reasons they stay until they are too
// old.
func (r *Recorder) AuthorizationDegraded(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
	if f.Reason != credentialsv1.DegradedScopeMissing {
		return nil
	}
	by := Authorization{f.AthleteID, f.Generation}
	if err := r.authorize(ctx, cause, by, CoversNone); err != nil {
		return err
	}
	now := r.Events.Now()
	return ignoreRevoked(r.Store.UpdateSync(ctx, by, func(s *Sync) (bool, error) {
		return s.Generation <= by.Generation && s.Expire(now), nil
	}))
}

// authorize records the coverage of an authorization. It ignores a late event
// of an athlete without a guard, whose tombstone may have expired.
func (r *Recorder) authorize(ctx context.Context, cause event.Meta, by Authorization, covers Coverage) error {
	late := r.tooOld(cause.OccurredAt)
	return r.Store.UpdateGuard(ctx, by.AthleteID, func(g *Guard) (bool, error) {
		if late && *g == (Guard{}) {
			return false, nil
		}
		return by.Generation > g.Revoked && g.Authorize(by.Generation, covers), nil
	})
}

// AuthorizationRevoked erases all data of this and earlier authorizations and
// publishes ErasureCompleted.
func (r *Recorder) AuthorizationRevoked(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationRevoked) error {
	expires := r.Events.Now().Add(retention.Tombstone)
	err := r.Store.UpdateGuard(ctx, f.AthleteID, func(g *Guard) (bool, error) { return g.Revoke(f.Generation, expires), nil })
	if err != nil {
		return err
	}
	return r.Publisher.Publish(ctx, r.Events.CausedBy(cause, activityv1.ErasureCompleted{Receipt: f.Receipt}))
}

// readAfter is the time after which data must have been read to be kept.
func (r *Recorder) readAfter() time.Time { return r.Events.Now().Add(-retention.StravaData) }

// tooOld reports whether data that was read at the time may no longer be kept.
func (r *Recorder) tooOld(at time.Time) bool { return !at.After(r.readAfter()) }

func ignoreRevoked(err error) error {
	if errors.Is(err, ErrRevoked) {
		return nil
	}
	return err
}
