package activitytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/paceline/paceline/pkg/activity"
)

// shown has the ids of the activities that an athlete with a session would see.
func (h *history) shown(ctx context.Context) (map[int64]bool, error) {
	page, err := h.reader.List(ctx, activity.Authorization{AthleteID: h.athleteID, Generation: h.revoked + 1}, activity.Selection{In: activity.Everything(), Limit: 100})
	out := map[int64]bool{}
	for _, r := range page.Records {
		out[r.Activity.ID] = true
	}
	return out, err
}

// check compares the answers of the plane with the facts.
func (h *history) check(ctx context.Context) error {
	if err := h.exact(ctx); err != nil {
		return err
	}
	by := activity.Authorization{AthleteID: h.athleteID, Generation: h.generation}
	page, err := h.reader.List(ctx, by, activity.Selection{In: activity.Everything(), Limit: 100})
	if h.generation <= h.revoked {
		if !errors.Is(err, activity.ErrRevoked) {
			return fmt.Errorf("list when revoked: %s", fmt.Sprint(err))
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := h.checkProgress(ctx, by); err != nil {
		return err
	}
	records, err := h.checkRecords(ctx, by)
	if err != nil {
		return err
	}
	slices.SortFunc(records, func(a, b activity.Record) int {
		return cmp.Or(cmp.Compare(b.Activity.StartDate, a.Activity.StartDate), cmp.Compare(b.Activity.ID, a.Activity.ID))
	})
	if err := compare("list", records, page.Records); err != nil {
		return err
	}
	return h.checkStats(ctx, by, records)
}

// checkRecords checks each activity alone, and returns the records of those
// that the athlete must see.
func (h *history) checkRecords(ctx context.Context, by activity.Authorization) (records []activity.Record, err error) {
	for id := range int64(historyActivities + 1) {
		got, err := h.reader.Get(ctx, by, id)
		record := h.latest(id)
		if record.Activity == nil || !h.young(record.ReadAt) {
			if !errors.Is(err, activity.ErrNotFound) {
				return nil, fmt.Errorf("get of %d, which is deleted: %s", id, fmt.Sprint(err))
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("get of %d: %w", id, err)
		}
		if err := compare("get", record, got); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	return records, nil
}

// checkStats checks that the stats add up the records.
func (h *history) checkStats(ctx context.Context, by activity.Authorization, records []activity.Record) error {
	for _, period := range []activity.Period{activity.Day, activity.Week, activity.Month, activity.Year} {
		want, err := activity.Summarize(activity.TotalsByMonth(records), period, "")
		if err != nil {
			return err
		}
		got, err := h.reader.Stats(ctx, by, period, "")
		if err != nil {
			return err
		}
		if err := compare("stats by "+string(period), want, got); err != nil {
			return err
		}
	}
	return nil
}

// checkProgress checks that the progress is current only if a scan is
// reconciled, with the number of activities that it found.
func (h *history) checkProgress(ctx context.Context, by activity.Authorization) error {
	got, err := h.reader.Sync(ctx, by)
	if err != nil {
		return err
	}
	s := h.newest
	if s == nil || s.generation <= h.revoked || !s.reconciled || !s.has(h.young) {
		if s != nil && s.generation > h.revoked {
			s = s.before
		} else {
			s = nil
		}
		if s != nil && !s.has(h.young) {
			s = nil
		}
	}
	if current := got.State == activity.Current; current != (s != nil) {
		return fmt.Errorf("the progress is %+v, by %+v", got, s)
	}
	if s == nil {
		return nil
	}
	found := 0
	for _, n := range s.found {
		found += n
	}
	return compare("how many the scan found", found, got.Gathered)
}

// exact compares the monthly totals with the records.
func (h *history) exact(ctx context.Context) error {
	if h.drifted {
		return nil
	}
	records, err := h.subject.Records(ctx, h.athleteID)
	if err != nil {
		return err
	}
	all := activity.Authorization{AthleteID: h.athleteID, Generation: h.revoked + h.generation + 1}
	totals, err := h.subject.MonthlyTotals(ctx, all)
	if err != nil {
		return err
	}
	return compare("totals", activity.TotalsByMonth(records), totals)
}

func compare(what string, want, got any) error {
	if reflect.DeepEqual(want, got) { // This is much faster than a difference.
		return nil
	}
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		return fmt.Errorf("%s (-want +got)\n%s", what, d)
	}
	return nil
}
