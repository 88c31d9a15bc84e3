package sim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/kit/retention"
	"github.com/paceline/paceline/standin/fitbit"
	"github.com/paceline/paceline/standin/strava"
)

// The promises that the invariants check.
const (
	// At every step.
	noLeaks       = "no token, client secret, code, session, key or GPS coordinate leaks"
	ownDataOnly   = "athletes see their own data only"
	freshDataOnly = "nothing is shown that Strava did not show within 7 days"
	trueTotals    = "totals are those of the activities"
	trueReceipts  = "a receipt shows the true state of its erasure"
	trueProgress  = "the progress shown is true"
	oneRefresh    = "one refresh of an athlete's tokens at a time"
	liveTokens    = "no superseded refresh token is used"
	noOwn429      = "Strava refuses no call for the rate limit while nothing else uses it"
	// Every hour.
	retained      = "nothing is kept for longer than 7 days"
	nothingLost   = "nothing disappears that Strava shows"
	deletionsGone = "what Strava no longer shows is gone within 48 hours"
	erasedInTime  = "an athlete who leaves is erased in time"
	workInTime    = "work that is due is done"
	firstScan     = "a new athlete's history is read"
	// At rest.
	agreement  = "Strava and we agree on who is connected"
	trueData   = "the planes hold what Strava shows"
	nothingDue = "nothing is left to do"
	departed   = "nothing is left of an athlete who left"
	identities = "sessions and keys work until they end, and only for connected athletes"
	quiet      = "no alarm rings while nothing fails"
)

// The bounds of the promises, while nothing fails. Each names its source.
const (
	// readable is how long data may be shown (Strava API Policy 6.2).
	readable = retention.StravaData
	// storedFor is how long it may be stored (docs/adr/0014).
	storedFor = retention.StravaData + retention.Grace
	// deletionBound is Strava API Policy 6.3.
	deletionBound = 48 * time.Hour
	// erasureBound is when an erasure counts as overdue.
	erasureBound = athlete.ErasureTime
	// webhookBound is far above the waits in docs/scale.md, seconds at most, and
	// above the minute of gather-work's schedule.
	webhookBound = 10 * time.Minute
	// firstScanBound is twice the longest wait in docs/scale.md for 10 athletes.
	firstScanBound = 20 * time.Minute
	// taskBound is two runs of reconcile-grants (docs/token-safety.md, Tasks).
	taskBound = 12 * time.Minute
	// leaseBound is the longest lease on tokens (docs/token-safety.md).
	leaseBound = time.Minute
	// callBound is the longest call of the HTTP API.
	callBound = 30 * time.Second
	// skewBound is how far the clocks of two functions differ at most.
	skewBound = time.Minute
	// readingBound is how long a reading takes, with a refresh and a repeated
	// call, and the difference of two clocks.
	readingBound = 2 * time.Minute
)

// maxViolations is how many violations of one promise are reported.
const maxViolations = 3

// invariants check that the promises are kept. They know Strava's truth, what
// the boundaries hold, and what they observed themselves.
type invariants struct {
	strava *strava.Server
	fitbit *fitbit.Server
	holdings
	report func(promise, format string, args ...any)

	reported map[string]int
	secrets  secretIndex
	observed observations
	hours    hourly

	// began is when the run began. failures has when something failed, or when a
	// stranger disturbed.
	began    time.Time
	failures []time.Time
	// limitsChangedAt is when Strava last changed the rate limits.
	limitsChangedAt time.Time
	// deadLetters returns how many messages wait for an operator, and messages how
	// many are on their way.
	deadLetters, messages func() int
	// issued returns the sessions and keys that athletes were given. known is how
	// many of them are among the secrets.
	issued func() []*issued
	known  int
	// rang returns the alarms that have rung since a time.
	rang func(since time.Time) []string
}

// holdings are what the boundaries hold, without failures.
type holdings struct {
	credentials *credentialstest.Memory
	gathering   *gatheringtest.Memory
	athlete     athlete.Ports
	activity    *activitytest.Store
}

// newInvariants returns the invariants of a run. report is told violations.
func newInvariants(s *strava.Server, f *fitbit.Server, h holdings, report func(promise, format string, args ...any)) *invariants {
	return &invariants{
		strava: s, fitbit: f, holdings: h, report: report, reported: map[string]int{},
		secrets: newSecretIndex(), observed: newObservations(s), hours: newHourly(),
		began: time.Now(), deadLetters: func() int { return 0 }, messages: func() int { return 0 }, issued: func() []*issued { return nil },
		rang: func(time.Time) []string { return nil },
	}
}

// violation reports the first few violations of a promise.
func (v *invariants) violation(promise, format string, args ...any) {
	text := promise + fmt.Sprintf(format, args...)
	if v.reported[text] > 0 || v.reported[promise] >= maxViolations {
		return
	}
	v.reported[text]++
	v.reported[promise]++
	v.report(promise, format, args...)
}

// failed notes a failure of the plan, or something else that delays work: an
// application that is inactive, webhooks that are lost, a limit that is used up.
func (v *invariants) failed() {
	now := time.Now()
	if n := len(v.failures); n == 0 || !v.failures[n-1].Equal(now) {
		v.failures = append(v.failures, now)
	}
}

// failedSince reports whether something has failed since a time.
func (v *invariants) failedSince(at time.Time) bool {
	return len(v.failures) > 0 && !v.failures[len(v.failures)-1].Before(at)
}

// failedBetween reports whether something failed in a time span.
func (v *invariants) failedBetween(from, to time.Time) bool {
	i, _ := slices.BinarySearchFunc(v.failures, from, time.Time.Compare)
	return i < len(v.failures) && !v.failures[i].After(to)
}

// calmFor returns for how long nothing has failed, no other client has used the
// rate limit, and no message has waited for an operator.
func (v *invariants) calmFor() time.Duration {
	if v.deadLetters() > 0 {
		return 0
	}
	last := v.began
	if n := len(v.failures); n > 0 {
		last = v.failures[n-1]
	}
	if at := v.observed.quota.disturbedAt; at.After(last) {
		last = at
	}
	return time.Since(last)
}

// athletes are the athletes at Strava.
func (v *invariants) athletes() []strava.AthleteState { return v.strava.Athletes() }

// grant returns the athlete's grant; the zero one if there is none.
func (v *invariants) grant(athleteID int64) credentials.Grant {
	g, err := v.credentials.Store.Grant(context.Background(), credentials.Athlete(athleteID))
	if err != nil {
		return credentials.Grant{}
	}
	return g
}

func inForce(g credentials.Grant) bool {
	return g.State == credentials.Active || g.State == credentials.Degraded
}

// pair returns the pair that the reference names; false if it is not held.
func (v *invariants) pair(account credentials.Account, ref credentials.TokenRef) (credentials.TokenPair, bool) {
	var pair credentials.TokenPair
	var err error
	if ref.Sealed != nil {
		pair, err = v.credentials.Sealer.Open(context.Background(), account, ref.Sealed)
	} else {
		pair, err = v.credentials.Vault.Tokens(context.Background(), account, ref.Generation, ref.Version)
	}
	return pair, err == nil
}

// holdsRefreshToken reports whether a refresh token of the account is held
// anywhere.
func (v *invariants) holdsRefreshToken(g credentials.Grant, token string) bool {
	ctx := context.Background()
	refs := []credentials.TokenRef{g.Tokens}
	for _, c := range g.Candidates {
		refs = append(refs, c.TokenRef)
	}
	for _, generation := range v.credentials.Vault.Generations(g.Account) {
		_, latest, err := v.credentials.Vault.Latest(ctx, g.Account, generation)
		for version := int64(1); err == nil && version <= latest; version++ {
			refs = append(refs, credentials.TokenRef{Generation: generation, Version: version})
		}
	}
	for _, ref := range refs {
		if pair, ok := v.pair(g.Account, ref); ok && pair.Refresh.Reveal() == token {
			return true
		}
	}
	pending, _ := v.credentials.Vault.PendingConnects(ctx, g.Account.Provider)
	for _, p := range pending {
		if p.Account == g.Account && p.Tokens.Refresh.Reveal() == token {
			return true
		}
	}
	return false
}

// splitScopes returns Strava's list of scopes.
func splitScopes(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
