package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	gatheringstrava "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// providers are those of accounts.
var providers = []string{credentials.ProviderStrava, provider.NameFitbit}

// moving returns what still moves, in words; empty if nothing does. It is for
// the moment only: gathering works every minute.
func (v *invariants) moving() string {
	now := time.Now()
	if n := v.messages(); n > 0 {
		return fmt.Sprintf("%d messages are on their way", n)
	}
	budget, _ := v.gathering.Budgets.Budget(context.Background())
	for _, p := range budget.Outstanding {
		if p.Expires.After(now) {
			return fmt.Sprintf("a permit of class %s is outstanding", p.Class)
		}
	}
	for _, a := range v.athletes() {
		scan, _ := v.gathering.Store.Athlete(context.Background(), a.ID)
		if scan.Job.LeasedUntil.After(now) || v.inbox(a.ID).Job.LeasedUntil.After(now) {
			return fmt.Sprintf("a job of athlete %d is leased", a.ID)
		}
		if scan.State == gathering.Active && scan.Scan.State != gatheringv1.ScanCompleted && v.corrupt(a.ID) == 0 {
			return fmt.Sprintf("a scan of athlete %d is %s", a.ID, scan.Scan.State)
		}
		if g := v.grant(a.ID); g.Lease.Until.After(now) {
			return fmt.Sprintf("the tokens of athlete %d are leased", a.ID)
		}
	}
	return ""
}

// inbox returns the athlete's inbox.
func (v *invariants) inbox(athleteID int64) (out gathering.Inbox) {
	out, _ = v.gathering.Store.UpdateInbox(context.Background(), athleteID, func(*gathering.Inbox) (bool, error) { return false, nil })
	return out
}

// checkAtRest checks what must hold 3 days after the last failure and the last
// action of a person, at a moment at which nothing is moving: the longest of
// Strava's limits ends within a day, quarantined work waits for a day
// (docs/adr/0016), and a change without a webhook is found by the next scan, a
// day and half an hour for each page after the last one.
func (v *invariants) checkAtRest() {
	for _, a := range v.athletes() {
		g := v.grant(a.ID)
		v.checkAgreement(a, g)
		v.checkConsent(a, g)
		if !inForce(g) {
			v.checkDeparted(a.ID, g)
		}
		if a.Connected && g.State == credentials.Active {
			v.checkActivities(a, g)
			v.checkShown(a.ID, g.Generation)
			v.checkProfile(a)
		}
	}
	v.checkStored()
	v.checkLinks()
	v.checkNothingDue()
	v.checkIdentities()
	if v.calmFor() > day {
		for _, name := range v.rang(time.Now().Add(-day)) {
			v.violation(quiet, "%s", name)
		}
	}
}

// checkAgreement compares who is connected.
func (v *invariants) checkAgreement(a strava.AthleteState, g credentials.Grant) {
	current := v.observed.tokens.current[a.ID]
	// tokensLost: the newest tokens may have been lost on the way to us, which
	// only the athlete can repair (docs/token-safety.md). A slow request reaches
	// Strava up to 20 s after its failure was drawn.
	tokensLost := func() bool {
		if token := v.observed.tokens.issued[current]; token != nil {
			return !v.holdsRefreshToken(g, current) && v.failedBetween(token.issuedAt.Add(-20*time.Second), token.issuedAt.Add(time.Minute))
		}
		return true
	}
	switch {
	case a.Connected && v.observed.unrevoked[a.ID]:
	case a.Connected && !inForce(g) && !tokensLost():
		v.violation(agreement, "athlete %d is connected at Strava, and the grant is %q", a.ID, g.State)
	case a.Connected && g.Reason == credentialsv1.DegradedTokenRefused && !tokensLost():
		v.violation(agreement, "athlete %d is connected at Strava, and the grant was degraded at %s", a.ID, clockTime(g.DegradedAt))
	case a.Connected && g.Reason == credentialsv1.DegradedScopeMissing && activity.CoverageOf(splitScopes(a.Scope)) > activity.CoversNone &&
		!tokensLost() && len(v.observed.lies[a.ID]) == 0:
		v.violation(agreement, "athlete %d allows %s at Strava, and the grant lacks a scope", a.ID, a.Scope)
	case !a.Connected && g.State == credentials.Active:
		v.violation(agreement, "athlete %d is not connected at Strava, and the grant is active", a.ID)
	}
}

// checkConsent compares what an athlete allows at Strava, in the grant and in the
// athlete plane.
func (v *invariants) checkConsent(a strava.AthleteState, g credentials.Grant) {
	if !inForce(g) {
		return
	}
	account, _ := v.athlete.Accounts.Account(context.Background(), a.ID)
	if c := account.Consent; c == nil || c.Generation != g.Generation || c.Degraded != (g.State == credentials.Degraded) || !c.Degraded && !sameSet(c.Scopes, g.Scopes) {
		v.violation(agreement, "the consent of athlete %d is %+v, and the grant is %s with %v", a.ID, c, g.State, g.Scopes)
	}
	if !a.Connected || g.State != credentials.Active || sameSet(g.Scopes, splitScopes(a.Scope)) {
		return
	}
	at := v.observed.exchanged[a.ID]
	switch {
	case v.failedBetween(at.Add(-20*time.Second), at.Add(time.Minute)):
		// The tokens may have been lost on the way to us.
	case v.observed.crossed[a.ID] && v.strava.Settings().Rotation != strava.RotateAlways:
		// Nothing shows which one Strava exchanged later, unless it replaced the
		// refresh token (docs/adr/0021).
	default:
		v.violation(agreement, "athlete %d allows %s at Strava since %s, and %v here", a.ID, a.Scope, clockTime(at), g.Scopes)
	}
}

// sameSet reports whether two lists have the same elements.
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// checkDeparted checks that nothing is left of an athlete who is not connected
// here.
func (v *invariants) checkDeparted(id int64, g credentials.Grant) {
	ctx := context.Background()
	account, _ := v.athlete.Accounts.Account(ctx, id)
	all, _ := v.credentials.Credentials.Credentials(ctx, id)
	live := 0
	for _, c := range all {
		if c.EndedAt.IsZero() && !c.Expired(time.Now()) {
			live++
		}
	}
	left := map[string]bool{
		"activities":        v.activity.Held(id) > 0,
		"work":              v.gathering.Store.Held(id) > 0,
		"a profile":         account.Profile != nil,
		"a consent":         account.Consent != nil,
		"a linked account":  len(account.LinkedAccounts()) > 0,
		"tokens":            v.credentials.Vault.Holds(credentials.Athlete(id)) || g.Authorized() || len(g.Candidates) > 0,
		"scopes":            len(g.Scopes) > 0,
		"a session or key":  live > 0,
		"a link to account": len(g.Links) > 0,
	}
	for _, what := range slices.Sorted(maps.Keys(left)) {
		if left[what] {
			v.violation(departed, "%s of athlete %d, whose grant is %q", what, id, g.State)
		}
	}
}

// decode returns the activities as gathering reads them.
func decode(athleteID int64, all []strava.Activity) (map[int64]gatheringv1.Activity, error) {
	var body strings.Builder
	for i, act := range all {
		if body.WriteByte(','); i == 0 {
			body.Reset()
			body.WriteByte('[')
		}
		body.Write(act.Summary)
	}
	if len(all) == 0 {
		body.WriteByte('[')
	}
	body.WriteByte(']')
	answer := func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: 200, Body: body.String()}, nil
	}
	page, _, err := gatheringstrava.New(answer, time.Now).Activities(context.Background(), gathering.Authorization{AthleteID: athleteID}, gathering.PageRequest{
		To: time.Now(), Page: 1, PerPage: max(1, len(all)),
	})
	out := map[int64]gatheringv1.Activity{}
	for _, one := range page.Activities {
		out[one.ID] = one
	}
	return out, err
}

// checkActivities compares the activity plane with Strava.
func (v *invariants) checkActivities(a strava.AthleteState, g credentials.Grant) {
	all, _ := v.strava.Activities(a.ID)
	want, err := decode(a.ID, all)
	if err != nil {
		v.violation(trueData, "the activities of athlete %d cannot be decoded: %v", a.ID, err)
		return
	}
	unreadable := map[int64]bool{}
	for _, act := range all {
		unreadable[act.ID] = act.Corrupt
		if act.Corrupt || !sees(splitScopes(a.Scope), act) || !sees(g.Scopes, act) {
			delete(want, act.ID)
		}
	}
	got := 0
	for _, r := range v.records(a.ID) {
		if r.Activity == nil || time.Since(r.ReadAt) >= readable || unreadable[r.Activity.ID] {
			continue
		}
		got++
		act, shows := want[r.Activity.ID]
		switch {
		case !shows:
			v.violation(trueData, "the plane holds activity %d of athlete %d, read at %s, which Strava does not show", r.Activity.ID, a.ID, clockTime(r.ReadAt))
		case !reflect.DeepEqual(act, *r.Activity):
			v.violation(trueData, "activity %d of athlete %d, read at %s, differs: %s", act.ID, a.ID, clockTime(r.ReadAt), difference(act, *r.Activity))
		}
		delete(want, r.Activity.ID)
	}
	if len(want) > 0 {
		v.violation(trueData, "the plane lacks %d activities of athlete %d, such as %d", len(want), a.ID, slices.Min(slices.Collect(maps.Keys(want))))
	}
	sync, err := v.activity.Sync(context.Background(), activity.Authorization{AthleteID: a.ID, Generation: g.Generation})
	p := sync.Progress(time.Now().Add(-readable))
	// If the grant has the wrong scopes, see checkConsent, the scan also counts
	// activities that Strava shows and the plane refuses.
	covers := activity.CoverageOf(g.Scopes)
	if covers > activity.CoversNone && covers == activity.CoverageOf(splitScopes(a.Scope)) && v.corrupt(a.ID) == 0 && (err != nil || p.State != activity.Current || p.Gathered != got) {
		v.violation(trueProgress, "athlete %d: state %s with %d activities of %d (%v)", a.ID, p.State, p.Gathered, got, err)
	}
}

// checkShown compares the activities that an athlete is shown with the totals
// that the athlete is shown.
func (v *invariants) checkShown(id, generation int64) {
	ctx, by := context.Background(), activity.Authorization{AthleteID: id, Generation: generation}
	reader := activity.Ports{ReadStore: v.activity, Events: event.Factory{Now: time.Now}}.Reader()
	listed, page := []activity.Record{}, activity.Page{}
	for in := (activity.Selection{In: activity.Everything(), Limit: 50}); ; in.In.To = *page.Next {
		var err error
		if page, err = reader.List(ctx, by, in); err != nil {
			v.violation(trueTotals, "the activities of athlete %d cannot be read: %v", id, err)
			return
		}
		listed = append(listed, page.Records...)
		if page.Next == nil {
			break
		}
	}
	for _, period := range []activity.Period{activity.Day, activity.Year} {
		want, err := activity.Summarize(activity.TotalsByMonth(listed), period, "")
		if got, statsErr := reader.Stats(ctx, by, period, ""); err != nil || statsErr != nil || !reflect.DeepEqual(got, want) {
			v.violation(trueTotals, "athlete %d is shown %d activities, and %v by %s (%v, %v)", id, len(listed), got.Total, period, err, statsErr)
		}
	}
}

// difference names the fields in which two structs differ.
func difference(a, b any) string {
	va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
	var out []string
	for i := range va.NumField() {
		if fa, fb := va.Field(i), vb.Field(i); !reflect.DeepEqual(fa.Interface(), fb.Interface()) {
			out = append(out, fmt.Sprintf("%s is %v at Strava, %v here", va.Type().Field(i).Name, reflect.Indirect(fa), reflect.Indirect(fb)))
		}
	}
	return strings.Join(out, "; ")
}

// checkProfile compares the profile with the one that Strava showed last.
func (v *invariants) checkProfile(a strava.AthleteState) {
	account, _ := v.athlete.Accounts.Account(context.Background(), a.ID)
	if account.Profile == nil {
		v.violation(trueData, "the plane has no profile of athlete %d", a.ID)
		return
	}
	body := string(v.observed.profiles[a.ID])
	answer := func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: 200, Body: body}, nil
	}
	want, _, err := gatheringstrava.New(answer, time.Now).Athlete(context.Background(), gathering.Authorization{AthleteID: a.ID})
	if err != nil || want != *account.Profile {
		v.violation(trueData, "the profile of athlete %d differs: %s (%v)", a.ID, difference(want, *account.Profile), err)
	}
}

// checkStored searches all that is stored outside the vault.
func (v *invariants) checkStored() {
	ctx := context.Background()
	for _, a := range v.athletes() {
		account, _ := v.athlete.Accounts.Account(ctx, a.ID)
		scan, _ := v.gathering.Store.Athlete(ctx, a.ID)
		sessions, _ := v.credentials.Credentials.Credentials(ctx, a.ID)
		for _, item := range []any{account, scan, v.inbox(a.ID), v.records(a.ID), sessions, v.grant(a.ID)} {
			text, err := json.Marshal(item)
			if err != nil {
				panic(err)
			}
			v.inspect(fmt.Sprintf("the stored %T of athlete %d", item, a.ID), text)
		}
	}
}

// checkLinks compares who is connected at Fitbit.
func (v *invariants) checkLinks() {
	if v.fitbit == nil {
		return
	}
	for _, u := range v.fitbit.Users() {
		account := credentials.Account{Provider: provider.NameFitbit, ID: u.ID}
		g, _ := v.credentials.Store.Grant(context.Background(), account)
		holds := v.credentials.Vault.Holds(account) || g.Authorized() || len(g.Candidates) > 0
		if !inForce(g) && holds {
			v.violation(departed, "tokens of account %s, whose grant is %q", account, g.State)
		}
		if u.Connected && !inForce(g) && len(v.failures) == 0 {
			v.violation(agreement, "account %s is connected at Fitbit, and the grant is %q", account, g.State)
		}
	}
}

// checkNothingDue checks that no task, message or permit is left.
func (v *invariants) checkNothingDue() {
	ctx := context.Background()
	if what := v.moving(); what != "" {
		v.violation(nothingDue, "%s", what)
	}
	for _, p := range providers {
		pending, _ := v.credentials.Store.Pending(ctx, p)
		for _, g := range pending {
			// A claim that cannot be checked waits for 7 days (docs/token-safety.md).
			if what := tasks(g); what != "claim" || g.State != credentials.Degraded || g.Claim.CheckAt.Before(time.Now()) {
				v.violation(nothingDue, "grant %s, %s: %s since %s", g.Account, g.State, what, clockTime(g.Retry.Since))
			}
		}
		if connects, _ := v.credentials.Vault.PendingConnects(ctx, p); len(connects) > 0 {
			v.violation(nothingDue, "%d connects of %s wait in the vault", len(connects), p)
		}
	}
	for _, a := range v.athletes() {
		if m := v.inbox(a.ID); v.corrupt(a.ID) == 0 && (len(m.Hints) > 0 || m.Overflowed || m.GatherRequested || m.Question.ScanID != "") {
			v.violation(nothingDue, "the inbox of athlete %d has %d hints", a.ID, len(m.Hints))
		}
	}
	_ = v.athlete.Inventory.Each(ctx, athlete.Visitor{
		ErasureRequest: func(id int64, r athlete.ErasureRequest) error {
			v.violation(nothingDue, "the request of athlete %d to leave of %s", id, clockTime(r.RequestedAt))
			return nil
		},
		Erasure: func(e athlete.Erasure) error {
			if e.CompletedAt().IsZero() {
				v.violation(nothingDue, "the erasure of %s is not completed: %v of %v", clockTime(e.RequestedAt), e.Confirmed, e.Parts)
			}
			return nil
		},
	})
	if dead, open := v.deadLetters(), v.messages(); dead > 0 || open > 0 {
		v.violation(nothingDue, "%d dead letters, %d messages", dead, open)
	}
}

// tasks names the pending tasks of a grant.
func tasks(g credentials.Grant) string {
	var out []string
	for what, is := range map[string]bool{
		"event": g.Unpublished, "revocation": g.State == credentials.Revoked || len(g.Revocations) > 0,
		"parameters": len(g.Obsolete) > 0, "claim": !g.Claim.ClaimedAt.IsZero(),
	} {
		if is {
			out = append(out, what)
		}
	}
	for _, c := range g.Candidates {
		if c.Connecting || !inForce(g) {
			out = append(out, "candidate")
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// checkIdentities checks that sessions and keys work if they should, and those
// that have ended, or whose athletes left, do not.
func (v *invariants) checkIdentities() {
	ports := credentials.Ports{
		CredentialStore: v.credentials.Credentials, Events: event.Factory{Now: time.Now}, Log: slog.New(slog.DiscardHandler),
	}
	authenticator := ports.Authenticator()
	for _, i := range v.issued() {
		kind := credentials.SessionCredential
		if i.key {
			kind = credentials.KeyCredential
		}
		_, err := authenticator.Authenticate(context.Background(), kind, secret.New(i.secret), true)
		g := v.grant(i.owner)
		gone := !inForce(g) || !i.ended.IsZero()
		// A grant that was in force all the time admits it.
		admitted := !gone && !i.mayHaveEnded && i.since.After(time.UnixMilli(g.Since).Add(skewBound)) && time.Now().Before(i.until.Add(-skewBound))
		switch {
		case gone && err == nil:
			v.violation(identities, "a %s of athlete %d still works", kind, i.owner)
		case admitted && err != nil:
			v.violation(identities, "a %s of athlete %d of %s does not work: %v", kind, i.owner, clockTime(i.since), err)
		}
	}
}
