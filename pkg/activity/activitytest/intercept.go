package activitytest

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Boundary begins the names of the operations; see [kittest.Operations].
const Boundary = "activity"

// StaleReads are the operations that may return [kittest.ErrStale] to get an old
// answer.
var StaleReads = []string{"activity.WriteStore.AthletesToExpire"}

// InParts are the operations with the step [kittest.Part].
var InParts = []string{
	"activity.WriteStore.EndScan", "activity.WriteStore.Expire", "activity.WriteStore.Put", "activity.WriteStore.UpdateGuard",
}

// Intercept returns the ports with around at every call. Ports that are nil stay
// so.
func Intercept(p activity.Ports, around kittest.Around) activity.Ports {
	if p.WriteStore != nil {
		p.WriteStore = writeStore{p.WriteStore, around, &kittest.StaleRead[struct{}, []int64]{
			Around: around, Op: "activity.WriteStore.AthletesToExpire", Copy: slices.Clone[[]int64],
		}}
	}
	if p.ReadStore != nil {
		p.ReadStore = readStore{p.ReadStore, around}
	}
	if p.AuditStore != nil {
		p.AuditStore = auditStore{p.AuditStore, around}
	}
	if p.Publisher != nil {
		p.Publisher = kittest.Publisher{Port: p.Publisher, Around: around, Boundary: Boundary}
	}
	return p
}

type writeStore struct {
	port     activity.WriteStore
	around   kittest.Around
	toExpire *kittest.StaleRead[struct{}, []int64]
}

func (i writeStore) Put(ctx context.Context, r activity.Reading) error {
	return i.around.Do(ctx, "activity.WriteStore.Put", func(ctx context.Context) error { return i.port.Put(ctx, r) })
}

func (i writeStore) PutDeletion(ctx context.Context, d activity.Deletion) error {
	return i.around.Do(ctx, "activity.WriteStore.PutDeletion", func(ctx context.Context) error { return i.port.PutDeletion(ctx, d) })
}

func (i writeStore) UpdateSync(ctx context.Context, by activity.Authorization, change func(*activity.Sync) (bool, error)) error {
	return i.around.Do(ctx, "activity.WriteStore.UpdateSync", func(ctx context.Context) error {
		return i.port.UpdateSync(ctx, by, kittest.Writes(ctx, change))
	})
}

func (i writeStore) UpdateGuard(ctx context.Context, athleteID int64, change func(*activity.Guard) (bool, error)) error {
	return i.around.Do(ctx, "activity.WriteStore.UpdateGuard", func(ctx context.Context) error {
		return i.port.UpdateGuard(ctx, athleteID, kittest.Writes(ctx, change))
	})
}

func (i writeStore) EndScan(ctx context.Context, athleteID int64, scan activity.CompletedScan, approve func([]activity.Record) bool) error {
	return i.around.Do(ctx, "activity.WriteStore.EndScan", func(ctx context.Context) error {
		return i.port.EndScan(ctx, athleteID, scan, approve)
	})
}

func (i writeStore) AthletesToExpire(ctx context.Context, until time.Time, limit int) ([]int64, error) {
	ids, err := i.toExpire.Get(ctx, struct{}{}, func(ctx context.Context) ([]int64, error) {
		return i.port.AthletesToExpire(ctx, until, limit)
	})
	return ids[:min(limit, len(ids))], err
}

func (i writeStore) Expire(ctx context.Context, athleteID int64, until time.Time) error {
	return i.around.Do(ctx, "activity.WriteStore.Expire", func(ctx context.Context) error { return i.port.Expire(ctx, athleteID, until) })
}

type readStore struct {
	port   activity.ReadStore
	around kittest.Around
}

func (i readStore) Get(ctx context.Context, by activity.Authorization, activityID int64) (activity.Record, error) {
	return kittest.Get(ctx, i.around, "activity.ReadStore.Get", func(ctx context.Context) (activity.Record, error) {
		return i.port.Get(ctx, by, activityID)
	})
}

func (i readStore) List(ctx context.Context, by activity.Authorization, s activity.Selection) (activity.Page, error) {
	return kittest.Get(ctx, i.around, "activity.ReadStore.List", func(ctx context.Context) (activity.Page, error) {
		return i.port.List(ctx, by, s)
	})
}

func (i readStore) MonthlyTotals(ctx context.Context, by activity.Authorization) (map[string]*activity.MonthlyTotals, error) {
	return kittest.Get(ctx, i.around, "activity.ReadStore.MonthlyTotals", func(ctx context.Context) (map[string]*activity.MonthlyTotals, error) {
		return i.port.MonthlyTotals(ctx, by)
	})
}

func (i readStore) Records(ctx context.Context, athleteID int64) ([]activity.Record, error) {
	return kittest.Get(ctx, i.around, "activity.ReadStore.Records", func(ctx context.Context) ([]activity.Record, error) {
		return i.port.Records(ctx, athleteID)
	})
}

func (i readStore) Sync(ctx context.Context, by activity.Authorization) (activity.Sync, error) {
	return kittest.Get(ctx, i.around, "activity.ReadStore.Sync", func(ctx context.Context) (activity.Sync, error) {
		return i.port.Sync(ctx, by)
	})
}

type auditStore struct {
	port   activity.AuditStore
	around kittest.Around
}

func (i auditStore) Ages(ctx context.Context, count func(kind string, readAt time.Time)) error {
	return i.around.Do(ctx, "activity.AuditStore.Ages", func(ctx context.Context) error { return i.port.Ages(ctx, count) })
}
