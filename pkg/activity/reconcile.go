package activity

import (
	"context"
	"slices"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
)

// updateSync changes the athlete's sync for an event of a scan. If the scan has
// ended, updateSync reconciles it.
func (r *Recorder) updateSync(ctx context.Context, cause event.Meta, by Authorization, scanID string, change func(*Sync) bool) error {
	var ended *Sync
	err := r.Store.UpdateSync(ctx, by, func(s *Sync) (bool, error) {
		changed := change(s)
		ended = nil
		if s.Generation == by.Generation && s.ScanID == scanID && !s.Reconciled && s.Ended(r.readAfter()) {
			scan := *s
			ended = &scan
		}
		return changed, nil
	})
	if err != nil || ended == nil {
		return ignoreRevoked(err)
	}
	return r.reconcile(ctx, cause, by, *ended)
}

// reconcile removes the activities that an ended scan did not find, if they are
// few: a single scan may be wrong. If they are more, it publishes
// RemovalQuestioned and changes nothing until the scan is confirmed or a newer
// one is reconciled.
func (r *Recorder) reconcile(ctx context.Context, cause event.Meta, by Authorization, s Sync) error {
	if len(s.Covered) > 0 {
		var question *activityv1.RemovalQuestioned
		scan := CompletedScan{Generation: s.Generation, Began: s.StartedAt, Covered: s.Covered}
		err := r.Store.EndScan(ctx, by.AthleteID, scan, func(records []Record) bool {
			missing, stored := r.missing(scan, records)
			if !s.Confirmed && !removable(len(missing), stored) {
				question = &activityv1.RemovalQuestioned{
					AthleteID: by.AthleteID, Generation: s.Generation, ScanID: s.ScanID,
					Missing: len(missing), Held: stored, Sample: sample(missing),
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
	return ignoreRevoked(r.Store.UpdateSync(ctx, by, func(now *Sync) (bool, error) { return now.Reconcile(s), nil }))
}

// missing returns the activities that the scan did not find, by start, and the
// number of those stored. Activities that are too old to be shown count as
// neither.
func (r *Recorder) missing(scan CompletedScan, records []Record) (missing []Position, stored int) {
	for _, record := range records {
		if record.Activity == nil || r.tooOld(record.ReadAt) {
			continue
		}
		stored++
		if scan.Outdates(record) {
			p, _ := PositionOf(*record.Activity) // [Check] has parsed it before.
			missing = append(missing, p)
		}
	}
	slices.SortFunc(missing, Position.Compare)
	return missing, stored
}

// sample returns the ids of a few of the activities, spread evenly over them.
func sample(missing []Position) []int64 {
	ids := make([]int64, min(len(missing), activityv1.MaxSample))
	for i := range ids {
		ids[i] = missing[i*len(missing)/len(ids)].ID
	}
	return ids
}
