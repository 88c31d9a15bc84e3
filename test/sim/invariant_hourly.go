package sim

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/standin/strava"
)

// hourly is what the last check found, to compare with.
type hourly struct {
	at time.Time
	// held has the activities that both Strava showed and the plane held, by
	// athlete.
	held map[int64]map[int64]held
	// goneSince has when an activity was first found that the plane holds and
	// Strava does not show.
	goneSince map[int64]time.Time
}

// held is an activity that the plane holds.
type held struct {
	// version is the activity at Strava: another one after every change.
	version *byte
	readAt  time.Time
}

func newHourly() hourly {
	return hourly{held: map[int64]map[int64]held{}, goneSince: map[int64]time.Time{}}
}

// checkHourly checks what must hold at every time of a run. Run it every hour.
func (v *invariants) checkHourly() {
	for _, a := range v.athletes() {
		records := v.records(a.ID)
		v.checkRecords(a.ID, records)
		v.checkTruth(a, records)
		v.checkFirstScan(a)
	}
	v.checkRetention()
	v.checkErasures()
	v.checkWork()
	v.hours.at = time.Now()
}

// records returns the athlete's records in the order of their readings.
func (v *invariants) records(athleteID int64) []activity.Record {
	records, _ := v.activity.Records(context.Background(), athleteID)
	slices.SortFunc(records, func(a, b activity.Record) int {
		if a.Activity == nil || b.Activity == nil {
			return a.ReadAt.Compare(b.ReadAt)
		}
		return cmp.Or(a.ReadAt.Compare(b.ReadAt), cmp.Compare(a.Activity.ID, b.Activity.ID))
	})
	return records
}

// sees reports whether the scopes show the activity.
func sees(scopes []string, act strava.Activity) bool {
	switch activity.CoverageOf(scopes) {
	case activity.CoversOnlyYou:
		return true
	case activity.CoversShared:
		return act.Visibility != strava.OnlyMe
	}
	return false
}

// visible returns the activities that the athlete's authorization shows at
// Strava.
func (v *invariants) visible(a strava.AthleteState) map[int64]strava.Activity {
	out := map[int64]strava.Activity{}
	if !a.Connected {
		return out
	}
	scopes := splitScopes(a.Scope)
	all, _ := v.strava.Activities(a.ID)
	for _, act := range all {
		if sees(scopes, act) {
			out[act.ID] = act
		}
	}
	return out
}

// checkRecords checks the ages of an athlete's records, and the totals.
func (v *invariants) checkRecords(athleteID int64, records []activity.Record) {
	limit := time.Now().Add(-storedFor - skewBound)
	swept := v.calmFor() > storedFor-readable
	for _, r := range records {
		if swept && r.ReadAt.Before(limit) {
			v.violation(retained, "a record of athlete %d was read at %s", athleteID, clockTime(r.ReadAt))
		}
	}
	totals, _ := v.activity.MonthlyTotals(context.Background(), activity.Authorization{AthleteID: athleteID, Generation: math.MaxInt64})
	same := func(a, b *activity.MonthlyTotals) bool {
		return maps.Equal(a.Sums, b.Sums) && maps.Equal(a.ReadIn, b.ReadIn)
	}
	if want := activity.TotalsByMonth(records); !maps.EqualFunc(totals, want, same) {
		v.violation(trueTotals, "the totals of athlete %d are not those of %d records", athleteID, len(records))
	}
}

// checkTruth compares the records with what Strava shows, and with the last
// check.
func (v *invariants) checkTruth(a strava.AthleteState, records []activity.Record) {
	before, now := v.hours.held[a.ID], map[int64]held{}
	v.hours.held[a.ID] = now
	visible := v.visible(a)
	for _, r := range records {
		if r.Activity == nil {
			continue
		}
		id := r.Activity.ID
		act, shows := visible[id]
		if shows {
			now[id] = held{&act.Summary[0], r.ReadAt}
			delete(v.hours.goneSince, id)
			continue
		}
		if v.hours.goneSince[id].IsZero() {
			v.hours.goneSince[id] = time.Now()
		}
		// A scan begins at the latest a day and half an hour for each page after the
		// last one.
		if since := v.hours.goneSince[id]; a.Connected && v.grant(a.ID).State == credentials.Active && time.Since(since) > deletionBound && v.calmFor() > 27*time.Hour {
			v.violation(deletionsGone, "Strava has not shown activity %d of athlete %d since %s", id, a.ID, clockTime(since))
		}
	}
	v.checkLost(a, before, now, visible)
}

// checkLost checks that no activity has disappeared since the last check that
// Strava has shown all the time.
func (v *invariants) checkLost(a strava.AthleteState, before, now map[int64]held, visible map[int64]strava.Activity) {
	g := v.grant(a.ID)
	if !inForce(g) || g.Generation >= v.hours.at.Add(-time.Hour).UnixMilli() || !v.observed.exchanged[a.ID].Before(v.hours.at.Add(-time.Hour)) {
		return // The athlete left, or signed in again, perhaps with other scopes.
	}
	var lost []int64
	for _, id := range slices.Sorted(maps.Keys(before)) {
		act, shows := visible[id]
		_, isHeld := now[id]
		if !isHeld && shows && &act.Summary[0] == before[id].version && time.Since(before[id].readAt) < readable {
			lost = append(lost, id)
		}
	}
	// Each wrong list may make a scan remove a few (docs/adr/0016).
	lies := 0
	for _, at := range v.observed.lies[a.ID] {
		if time.Since(at) < 3*time.Hour {
			lies++
		}
	}
	if len(lost) > lies*max(3, len(before)/50) {
		v.violation(nothingLost, "athlete %d, who allows %s: %d of %d activities disappeared, such as %d, after %d wrong answers; Strava cannot read %d",
			a.ID, a.Scope, len(lost), len(before), lost[0], lies, v.corrupt(a.ID))
	}
}

// checkFirstScan checks that a new athlete's history is read.
func (v *invariants) checkFirstScan(a strava.AthleteState) {
	g := v.grant(a.ID)
	since := time.UnixMilli(g.Generation)
	if !a.Connected || g.State != credentials.Active || time.Since(since) < firstScanBound || v.calmFor() < firstScanBound || !v.quotaIsFree() ||
		activity.CoverageOf(g.Scopes) == activity.CoversNone || activity.CoverageOf(splitScopes(a.Scope)) == activity.CoversNone {
		return
	}
	if v.failedSince(since.Add(-time.Minute)) && v.calmFor() < 27*time.Hour || v.corrupt(a.ID) > 0 {
		return // It may be quarantined.
	}
	sync, err := v.activity.Sync(context.Background(), activity.Authorization{AthleteID: a.ID, Generation: g.Generation})
	if p := sync.Progress(time.Now().Add(-readable)); err != nil || p.State != activity.Current {
		v.violation(firstScan, "athlete %d connected at %s; state %s, waiting for %q (%v)", a.ID, clockTime(since), p.State, p.WaitingFor, err)
	}
}

// corrupt returns how many of the athlete's activities Strava cannot show.
func (v *invariants) corrupt(athleteID int64) (n int) {
	all, _ := v.strava.Activities(athleteID)
	for _, act := range all {
		if act.Corrupt {
			n++
		}
	}
	return n
}

// quotaIsFree reports whether less than half of each limit is used, and the
// system can know that: it learns of higher limits only by a call, for which it
// may wait until the next day.
func (v *invariants) quotaIsFree() bool {
	if v.limitsChangedAt.After(time.Now().Add(-time.Minute).UTC().Truncate(day)) {
		return false
	}
	u, s := v.strava.Usage(), v.strava.Settings()
	for window := range u.Read {
		if 2*u.Read[window] >= s.ReadLimit[window] || 2*u.Overall[window] >= s.OverallLimit[window] {
			return false
		}
	}
	return !s.Inactive
}

// checkRetention checks the ages of all else that is Strava's.
func (v *invariants) checkRetention() {
	if v.calmFor() <= storedFor-readable {
		return
	}
	limit := time.Now().Add(-storedFor - skewBound)
	_ = v.activity.Ages(context.Background(), func(kind string, at time.Time) {
		if at.Before(limit) {
			v.violation(retained, "the activity plane keeps a %s of %s", kind, clockTime(at))
		}
	})
	_ = v.athlete.Inventory.Each(context.Background(), athlete.Visitor{Profile: func(id int64, at time.Time) error {
		if at.Before(limit) {
			v.violation(retained, "the profile of athlete %d was read at %s", id, clockTime(at))
		}
		return nil
	}})
	for _, a := range v.athletes() {
		inbox := v.inbox(a.ID)
		for _, h := range inbox.Hints {
			if h.ReceivedAt.Before(limit) {
				v.violation(retained, "a hint about athlete %d came at %s", a.ID, clockTime(h.ReceivedAt))
			}
		}
	}
}

// checkErasures checks that erasures complete in time.
func (v *invariants) checkErasures() {
	late := func(requested time.Time) bool {
		// A task that has failed may be tried again after 6 hours only.
		bound := erasureBound
		if v.failedSince(requested.Add(-skewBound)) {
			bound += 6 * time.Hour
		}
		return time.Since(requested) > bound && v.calmFor() > bound
	}
	_ = v.athlete.Inventory.Each(context.Background(), athlete.Visitor{
		ErasureRequest: func(id int64, r athlete.ErasureRequest) error {
			if late(r.RequestedAt) {
				v.violation(erasedInTime, "the request of athlete %d of %s is pending", id, clockTime(r.RequestedAt))
			}
			return nil
		},
		Erasure: func(e athlete.Erasure) error {
			if e.CompletedAt().IsZero() && !e.RequestedAt.IsZero() && late(e.RequestedAt) {
				v.violation(erasedInTime, "an erasure of %s has confirmations of %v only, out of %v",
					clockTime(e.RequestedAt), slices.Sorted(maps.Keys(e.Confirmed)), e.Parts)
			}
			return nil
		},
	})
}

// checkWork checks that jobs and tasks that are due are done.
func (v *invariants) checkWork() {
	ctx, now := context.Background(), time.Now()
	if v.quotaIsFree() && v.calmFor() > webhookBound {
		for _, class := range []quota.Class{quota.Leave, quota.Webhook, quota.Interactive} {
			if w, _ := v.gathering.Store.Waiting(ctx, class, now); w.Count > 0 && now.Sub(w.Oldest) > webhookBound {
				v.violation(workInTime, "a job of class %s has been due since %s", class, clockTime(w.Oldest))
			}
		}
	}
	if v.calmFor() < taskBound {
		return
	}
	for _, provider := range providers {
		pending, _ := v.credentials.Store.Pending(ctx, provider)
		for _, g := range pending {
			if now.Sub(g.Retry.Next) > taskBound && now.Sub(g.Retry.Since) > taskBound {
				v.violation(workInTime, "the tasks of grant %s have been due since %s: %s", g.Account, clockTime(g.Retry.Next), tasks(g))
			}
		}
	}
}
