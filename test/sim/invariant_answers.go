package sim

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// answered checks an answer of the HTTP API. viewer is the athlete whose session
// or key the call had, 0 if it had none that is valid. path may have a query.
func (v *invariants) answered(viewer int64, path string, status int, body []byte) {
	path, _, _ = strings.Cut(path, "?")
	v.inspect("the answer of "+path, body)
	v.checkOwner(viewer, path, body)
	if viewer == 0 && strings.HasPrefix(path, "/v1/me") && status < http.StatusBadRequest {
		v.violation(ownDataOnly, "%s answers %d without a session", path, status)
	}
	switch {
	case strings.HasPrefix(path, api.ErasurePath):
		v.checkReceipt(strings.TrimPrefix(path, api.ErasurePath), status, body)
	case status == http.StatusCreated && path == "/v1/me/keys":
		var key struct{ Secret string }
		if json.Unmarshal(body, &key) == nil {
			v.secrets.add(key.Secret, "key")
		}
	case status != http.StatusOK:
	case path == "/v1/me":
		v.checkMe(viewer, body)
	case path == "/v1/me/activities":
		var list struct{ Items []shownItem }
		if json.Unmarshal(body, &list) == nil { // It may be a table.
			v.checkItems(viewer, list.Items...)
		}
	case strings.HasPrefix(path, "/v1/me/activities/"):
		var one shownItem
		if json.Unmarshal(body, &one) == nil {
			v.checkItems(viewer, one)
		}
	case path == "/v1/me/stats":
		v.checkStats(viewer, body)
	case path == "/v1/me/sync":
		v.checkProgress(viewer, body)
	}
}

// checkOwner checks that each number in an answer that is an athlete's or an
// activity's id belongs to the viewer.
func (v *invariants) checkOwner(viewer int64, path string, body []byte) {
	for i := 0; i < len(body); i++ {
		if body[i] < '1' || body[i] > '9' {
			continue
		}
		end := i + 1
		for end < len(body) && body[end] >= '0' && body[end] <= '9' {
			end++
		}
		if n := end - i; n >= 8 && n <= 12 && (i == 0 || body[i-1] != '.') {
			if id := leadingInt(body[i:end]); v.ownerOf(id) != 0 && v.ownerOf(id) != viewer {
				v.violation(ownDataOnly, "the answer of %s to athlete %d has %d", path, viewer, id)
			}
		}
		i = end
	}
}

// ownerOf returns the athlete whom an id belongs to; 0 if it is none.
func (v *invariants) ownerOf(id int64) int64 {
	if s := v.observed.activities[id]; s != nil {
		return s.owner
	}
	if v.observed.athletes[id] {
		return id
	}
	return 0
}

// shownItem is an activity in an answer. Its members may be left out.
type shownItem struct {
	ID     int64     `json:"id"`
	ReadAt time.Time `json:"read_at"`
}

func (v *invariants) checkItems(viewer int64, items ...shownItem) {
	now := time.Now()
	for _, item := range items {
		if item.ReadAt.IsZero() || item.ID == 0 {
			continue
		}
		switch age := now.Sub(item.ReadAt); {
		case age > readable+skewBound+callBound:
			v.violation(freshDataOnly, "athlete %d is shown activity %d, read at %s", viewer, item.ID, clockTime(item.ReadAt))
		case age < -skewBound:
			v.violation(freshDataOnly, "activity %d of athlete %d was read in the future, at %s", item.ID, viewer, clockTime(item.ReadAt))
		case !v.observed.wasShown(viewer, item.ID, item.ReadAt):
			v.violation(freshDataOnly, "Strava did not show activity %d to athlete %d at %s", item.ID, viewer, clockTime(item.ReadAt))
		}
	}
}

func (v *invariants) checkMe(viewer int64, body []byte) {
	var me struct {
		ID        int64
		Firstname *string
	}
	if json.Unmarshal(body, &me) != nil {
		return
	}
	for _, a := range v.athletes() {
		if a.ID == viewer && me.Firstname != nil && *me.Firstname != a.Firstname {
			v.violation(ownDataOnly, "athlete %d is called %s", viewer, *me.Firstname)
		}
	}
}

// checkStats checks that the total is the sum of the periods.
func (v *invariants) checkStats(viewer int64, body []byte) {
	type sums struct {
		Count       int64 `json:"count"`
		MovingTime  int64 `json:"moving_time"`
		ElapsedTime int64 `json:"elapsed_time"`
	}
	var stats struct {
		Periods []sums
		Total   sums
	}
	if json.Unmarshal(body, &stats) != nil {
		return
	}
	var all sums
	for _, p := range stats.Periods {
		all.Count += p.Count
		all.MovingTime += p.MovingTime
		all.ElapsedTime += p.ElapsedTime
	}
	if all != stats.Total {
		v.violation(trueTotals, "the periods of athlete %d add up to %v, and the total is %v", viewer, all, stats.Total)
	}
}

// waitingReasons are the reasons why a scan may wait.
var waitingReasons = map[string]bool{
	gatheringv1.WaitingForRateLimit: true, gatheringv1.WaitingForDailyLimit: true, gatheringv1.WaitingForStrava: true,
	gatheringv1.WaitingForReconnect: true, gatheringv1.WaitingForApplication: true, gatheringv1.WaitingForRetry: true,
	gatheringv1.WaitingForInternal: true,
}

// resumeBound is later than any time at which a scan resumes: quarantine and the
// daily limit last for a day, and the delay after a failure is added.
const resumeBound = 25 * time.Hour

// checkProgress checks what an athlete is told about the gathering.
func (v *invariants) checkProgress(viewer int64, body []byte) {
	var p struct {
		State      string
		Gathered   int
		WaitingFor string     `json:"waiting_for"`
		ResumesAt  *time.Time `json:"resumes_at"`
		FinishesAt *time.Time `json:"finishes_at"`
	}
	if json.Unmarshal(body, &p) != nil {
		return
	}
	now := time.Now()
	problem := func(what string) { v.violation(trueProgress, "athlete %d: %s: %s", viewer, what, body) }
	switch waits := p.State == activity.Waiting; {
	case p.State == activity.Current && (p.WaitingFor != "" || p.ResumesAt != nil || p.FinishesAt != nil):
		problem("current, and yet not")
	case waits != (p.WaitingFor != "") || waits && !waitingReasons[p.WaitingFor]:
		problem("an unknown reason")
	case !waits && p.ResumesAt != nil:
		problem("resumes without waiting")
	case p.ResumesAt != nil && p.ResumesAt.After(now.Add(resumeBound)):
		problem("resumes too late")
	case p.ResumesAt != nil && now.Sub(*p.ResumesAt) > webhookBound && v.calmFor() > webhookBound && v.quotaIsFree():
		problem("was to resume before")
	case p.FinishesAt != nil && p.FinishesAt.After(now.AddDate(1, 0, 0)):
		problem("finishes too late")
	}
	// Nothing was gathered that Strava did not show.
	if shown := v.observed.shownTo(viewer); p.Gathered > shown && len(v.observed.lies[viewer]) == 0 {
		problem("more than the " + itoa(int64(shown)) + " activities that Strava showed")
	}
	if p.WaitingFor == gatheringv1.WaitingForReconnect && v.grant(viewer).State == credentials.Active && v.calmFor() > taskBound {
		problem("the authorization is active")
	}
}

// checkReceipt checks what is said about an erasure.
func (v *invariants) checkReceipt(receipt string, status int, body []byte) {
	account, generation, known := v.erasureOf(receipt)
	if status == http.StatusNotFound && known {
		v.violation(trueReceipts, "the receipt of %s is unknown", account)
	}
	var e struct {
		State        string
		RequestedAt  time.Time `json:"requested_at"`
		CompletedAt  time.Time `json:"completed_at"`
		CopiesGoneBy time.Time `json:"copies_gone_by"`
		Erased       []struct{ At time.Time }
	}
	if status != http.StatusOK || json.Unmarshal(body, &e) != nil {
		return
	}
	now := time.Now()
	if e.RequestedAt.After(now.Add(skewBound)) || e.CompletedAt.After(now.Add(skewBound)) {
		v.violation(trueReceipts, "a receipt of the future: %s", body)
	}
	if e.State != "erased" {
		return
	}
	if len(e.Erased) == 0 || e.CompletedAt.IsZero() || !e.CopiesGoneBy.Equal(e.CompletedAt.Add(retention.Copies)) {
		v.violation(trueReceipts, "a completed erasure without its times: %s", body)
	}
	if id, isAthlete := account.AthleteID(); known && isAthlete {
		v.checkErased(id, generation)
	}
}

// erasureOf returns the account and the last generation that a receipt stands
// for. It is known until credentials forgets it.
func (v *invariants) erasureOf(receipt string) (credentials.Account, int64, bool) {
	for _, a := range v.athletes() {
		g := v.grant(a.ID)
		for _, r := range g.Completed {
			if r.Receipt == receipt {
				return g.Account, r.Generation, true
			}
		}
	}
	return credentials.Account{}, 0, false
}

// checkErased checks that nothing is left that was gathered under a generation,
// or before.
func (v *invariants) checkErased(id, generation int64) {
	ctx := context.Background()
	for _, r := range v.records(id) {
		if r.Generation <= generation {
			v.violation(trueReceipts, "a record of athlete %d is left that was read at %s", id, clockTime(r.ReadAt))
		}
	}
	account, _ := v.athlete.Accounts.Account(ctx, id)
	if account.Profile != nil && account.ProfileGeneration <= generation || account.Consent != nil && account.Consent.Generation <= generation {
		v.violation(trueReceipts, "the account of athlete %d is left", id)
	}
	if scan, _ := v.gathering.Store.Athlete(ctx, id); scan.State == gathering.Active && scan.Generation <= generation {
		v.violation(trueReceipts, "the scan of athlete %d is left", id)
	}
	for _, g := range v.credentials.Vault.Generations(credentials.Athlete(id)) {
		if grant := v.grant(id); g != 0 && g <= generation && !inForce(grant) {
			v.violation(trueReceipts, "tokens of athlete %d are left", id)
		}
	}
}
