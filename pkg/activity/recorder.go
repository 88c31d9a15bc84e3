package activity

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	// Retention is how long a reading may be kept without another (Strava API
	// Policy 6.2). One that arrives later than that, say from a dead letter, is
	// ignored.
	Retention = 7 * 24 * time.Hour
	// TombstoneLifetime is how long tombstones fence. It is longer than
	// [Retention], so that no reading outlives the tombstone that fences it.
	TombstoneLifetime = Retention + 24*time.Hour
)

// LapsesAt is when a store may drop a row that was read at a time by itself, and
// let the tallies drift: later than the [Sweeper] deletes it, and later than
// anything may come that it would win over.
func LapsesAt(readAt time.Time) time.Time { return readAt.Add(TombstoneLifetime) }

// Recorder takes in events. All its methods are idempotent, and what is
// written under a revoked authorization is ignored.
type Recorder struct {
	Store     WriteStore
	Publisher Publisher
	Events    event.Factory
}

// ActivitiesGathered keeps the activities and then counts them to their scan.
// An activity that is not well formed makes the fault permanent, and nothing
// is kept.
func (r *Recorder) ActivitiesGathered(ctx context.Context, cause event.Meta, f gatheringv1.ActivitiesGathered) error {
	if r.tooOld(f.ReadAt) {
		return nil
	}
	by := Authorization{f.AthleteID, f.Generation}
	reading := Reading{By: by, At: f.ReadAt}
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
		return s.Store(f.Generation, *f.Chunk, StoredChunk{Activities: len(reading.Activities), ReadAt: f.ReadAt})
	})
}

// updateSync changes the athlete's sync by an event of a scan. It settles the scan
// if that has ended by now.
func (r *Recorder) updateSync(ctx context.Context, cause event.Meta, by Authorization, scanID string, change func(*Sync) bool) error {
	var ended *Sync
	err := r.Store.UpdateSync(ctx, by, func(s *Sync) bool {
		changed := change(s)
		ended = nil
		if s.Generation == by.Generation && s.ScanID == scanID && !s.Settled && s.Ended(r.readAfter()) {
			found := *s
			ended = &found
		}
		return changed
	})
	if err != nil || ended == nil {
		return ignoreRevoked(err)
	}
	return r.settle(ctx, cause, by, *ended)
}

// settle removes the activities that an ended scan did not find, if they are a
// handful at most: a single scan may be wrong. If they are more, it asks
// gathering and leaves everything as it is until the scan is confirmed or a
// newer one is settled.
func (r *Recorder) settle(ctx context.Context, cause event.Meta, by Authorization, s Sync) error {
	if len(s.Covered) > 0 {
		var question *activityv1.RemovalQuestioned
		scan := CompletedScan{Generation: s.Generation, Began: s.StartedAt, Covered: s.Covered}
		err := r.Store.EndScan(ctx, by.AthleteID, scan, func(rows []Row) bool {
			missing, held := r.missing(scan, rows)
			if !s.Confirmed && !removable(len(missing), held) {
				question = &activityv1.RemovalQuestioned{
					AthleteID: by.AthleteID, Generation: s.Generation, ScanID: s.ScanID,
					Missing: len(missing), Held: held, Sample: sample(missing),
				}
			}
			return question == nil
		})
		if err != nil {
			return err
		}
		if question != nil {
			return r.Publisher.Publish(ctx, r.Events.CausedBy(cause, *question))
		}
	}
	return ignoreRevoked(r.Store.UpdateSync(ctx, by, func(now *Sync) bool { return now.Settle(s) }))
}

// missing gives the activities that the scan did not find, by start, and counts
// those held. What is too old to be shown counts as neither: it is as good as gone.
func (r *Recorder) missing(scan CompletedScan, rows []Row) (missing []Position, held int) {
	for _, row := range rows {
		if row.Activity == nil || r.tooOld(row.ReadAt) {
			continue
		}
		held++
		if scan.Outdates(row) {
			p, _ := PositionOf(*row.Activity) // Checked before it was kept.
			missing = append(missing, p)
		}
	}
	slices.SortFunc(missing, Position.Compare)
	return missing, held
}

// sample gives the ids of a few of the activities, spread evenly over them.
func sample(missing []Position) []int64 {
	ids := make([]int64, min(len(missing), activityv1.MaxSample))
	for i := range ids {
		ids[i] = missing[i*len(missing)/len(ids)].ID
	}
	return ids
}

// AthleteAuthorized takes in what the authorization covers. What it does not
// cover any more is deleted.
func (r *Recorder) AthleteAuthorized(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
	return r.authorized(ctx, cause, Authorization{f.AthleteID, f.Generation}, CoverageOf(f.Scopes))
}

// AuthorizationDegraded deletes all activities when the athlete took the right to
// read them away at Strava. Otherwise they stay for as long as they may without
// being read again.
func (r *Recorder) AuthorizationDegraded(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
	if f.Reason != credentialsv1.DegradedScopeMissing {
		return nil
	}
	by := Authorization{f.AthleteID, f.Generation}
	if err := r.authorized(ctx, cause, by, CoversNone); err != nil {
		return err
	}
	now := r.Events.Now()
	return ignoreRevoked(r.Store.UpdateSync(ctx, by, func(s *Sync) bool { return s.Generation <= by.Generation && s.Forget(now) }))
}

// authorized takes in what an authorization covers. One that comes late, of an
// athlete of whom nothing is known, is ignored: it may be of one whose tombstone
// has lapsed.
func (r *Recorder) authorized(ctx context.Context, cause event.Meta, by Authorization, c Coverage) error {
	late := r.tooOld(cause.OccurredAt)
	return r.Store.UpdateFence(ctx, by.AthleteID, func(f *Fence) bool {
		if late && *f == (Fence{}) {
			return false
		}
		return by.Generation > f.Revoked && f.Authorize(by.Generation, c)
	})
}

// ActivityGone forgets the activity.
func (r *Recorder) ActivityGone(ctx context.Context, _ event.Meta, f gatheringv1.ActivityGone) error {
	if r.tooOld(f.ReadAt) {
		return nil
	}
	absence := Absence{By: Authorization{f.AthleteID, f.Generation}, At: f.ReadAt, ActivityID: f.ActivityID}
	return ignoreRevoked(r.Store.PutGone(ctx, absence))
}

// ScanProgressed keeps what the scan says of itself.
func (r *Recorder) ScanProgressed(ctx context.Context, cause event.Meta, f gatheringv1.ScanProgressed) error {
	if r.tooOld(cause.OccurredAt) {
		return nil
	}
	by := Authorization{f.AthleteID, f.Generation}
	return r.updateSync(ctx, cause, by, f.ScanID, func(s *Sync) bool { return s.Report(f) })
}

// AuthorizationRevoked erases everything of this and earlier authorizations
// and announces it.
func (r *Recorder) AuthorizationRevoked(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationRevoked) error {
	expires := r.Events.Now().Add(TombstoneLifetime)
	err := r.Store.UpdateFence(ctx, f.AthleteID, func(fence *Fence) bool { return fence.Revoke(f.Generation, expires) })
	if err != nil {
		return err
	}
	return r.Publisher.Publish(ctx, r.Events.CausedBy(cause, activityv1.ErasureCompleted{Receipt: f.Receipt}))
}

// readAfter is the time that what may be kept was read after.
func (r *Recorder) readAfter() time.Time { return r.Events.Now().Add(-Retention) }

func (r *Recorder) tooOld(at time.Time) bool { return !at.After(r.readAfter()) }

func ignoreRevoked(err error) error {
	if errors.Is(err, ErrRevoked) {
		return nil
	}
	return err
}
