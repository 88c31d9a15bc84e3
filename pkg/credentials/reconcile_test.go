package credentials_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/credentials/metric"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// down makes Strava's authorization server, or all of Strava, fail.
func (w *world) down(endpoint string) {
	w.t.Helper()
	if err := w.strava.Inject(strava.Fault{Endpoint: endpoint, Kind: strava.Fault503, Count: -1}); err != nil {
		w.t.Fatal(err)
	}
}

// days has Reconcile run every five minutes, as the schedule does.
func (w *world) days(n int) {
	w.t.Helper()
	for range n * 24 * 12 {
		w.clock.Advance(5 * time.Minute)
		if err := w.reconciler.Reconcile(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestARevocationOutlivesDaysWithoutStrava: it is retried ever less often,
// its receipt stays open, it counts as overdue, and in the end it is completed.
func TestARevocationOutlivesDaysWithoutStrava(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.down("any")
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if n := w.counts.Of(metric.Overdue); n != 0 {
		t.Errorf("overdue at once: %d", n)
	}
	w.days(10)
	if g := w.grant(id); g.State != credentials.Revoked || !w.vault.Holds(credentials.Athlete(id)) {
		t.Errorf("the tokens were dropped before Strava knew: %+v", g)
	}
	if n := w.strava.Counters().Total(strava.EndpointRevoke, 0); n < 40 || n > 50 {
		t.Errorf("Strava was asked %d times in ten days", n)
	}
	if n := w.counts.Of(metric.Overdue); n != 9*24*12 {
		t.Errorf("overdue in %d runs", n)
	}
	if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
	w.mustBeConfirmed("receipt") // by nothing while Strava still counts the athlete
	w.strava.ClearFaults()
	w.days(1)
	w.mustBeErased(id, "when Strava was back")
	w.mustBeConfirmed("receipt", "")
	calls := w.strava.Counters().Total("", 0)
	w.days(2)
	if n := w.strava.Counters().Total("", 0); n != calls {
		t.Errorf("%d calls after all was done", n-calls)
	}
}

// TestAClaimOutlivesDaysWithoutStrava: it ends nothing before Strava confirms it.
func TestAClaimOutlivesDaysWithoutStrava(t *testing.T) {
	for name, isTrue := range map[string]bool{"true": true, "forged": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			id := w.athlete(0)
			generation := w.connected(id)
			if isTrue {
				if err := w.strava.Deauthorize(id); err != nil {
					t.Fatal(err)
				}
			}
			w.down("any")
			if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
				t.Fatal(err)
			}
			w.days(3)
			if g := w.grant(id); g.State != credentials.Active || !w.vault.Holds(credentials.Athlete(id)) {
				t.Errorf("ended or erased before Strava confirmed the claim: %+v", g)
			}
			if n := w.strava.Counters().Total(strava.EndpointRefresh, 0); n < 10 || n > 25 {
				t.Errorf("Strava was asked %d times in three days", n)
			}
			w.strava.ClearFaults()
			w.days(1)
			if isTrue {
				w.mustBeErased(id, "when Strava was back")
				return
			}
			if g := w.grant(id); g.State != credentials.Active || g.HasPendingTasks() {
				t.Errorf("when Strava was back: %+v", g)
			}
			w.mustAnswer(id, generation)
		})
	}
}

func TestAReconnectDismissesAClaim(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.connected(id)
	if err := w.strava.Deauthorize(id); err != nil {
		t.Fatal(err)
	}
	w.down("refresh")
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Minute)
	generation := w.connected(id)
	w.strava.ClearFaults()
	before := w.strava.Counters().Total(strava.EndpointRefresh, 0)
	w.reconcileAll()
	if g := w.grant(id); g.State != credentials.Active || g.HasPendingTasks() {
		t.Errorf("grant %+v", g)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, 0); n != before {
		t.Error("Strava was asked about a claim that the athlete answered")
	}
	w.mustAnswer(id, generation)
}

// TestARevocationIsCompletedAfterAReconnect: the athlete who left while Strava
// was down connects again before the revocation is completed. The old tokens are
// replaced, and what the old authorization gathered is erased.
func TestARevocationIsCompletedAfterAReconnect(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	w.down("revoke")
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), first, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	second := w.connected(id)
	w.strava.ClearFaults()
	w.reconcileAll()
	w.mustAnswer(id, second)
	if g := w.grant(id); g.HasPendingTasks() {
		t.Errorf("grant %+v", g)
	}
	published := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
	if len(published) != 1 || published[0].Generation != first {
		t.Errorf("published %+v", published)
	}
	w.mustBeConfirmed("receipt", "")
}

// TestTwoReceiptsOfOneRevocation: an athlete leaves here and at Strava while
// Strava cannot be asked.
func TestTwoReceiptsOfOneRevocation(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.down("revoke")
	for _, receipt := range []string{"one", "two", "one"} {
		if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, receipt, w.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	w.strava.ClearFaults()
	w.reconcileAll()
	w.mustBeErased(id, "twice")
	for _, receipt := range []string{"one", "two"} {
		w.mustBeConfirmed(receipt, "")
	}
}

// TestAConnectKilledAnywhere kills a connect before and after each of its
// calls, and has the schedule run. Either the authorization is in force and
// published, or it was revoked. If neither is true, Strava had answered and only the
// killed process had the tokens.
func TestAConnectKilledAnywhere(t *testing.T) {
	for _, who := range []string{"a stranger", "one who left", "one whose revocation is pending", "one who is connected"} {
		t.Run(who, func(t *testing.T) {
			var lost, points []string
			for k := 0; ; k++ {
				w := newWorld(t, strava.Settings{})
				id := w.athlete(0)
				if who != "a stranger" {
					generation := w.connected(id)
					switch who {
					case "one who left":
						if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
							t.Fatal(err)
						}
					case "one whose revocation is pending":
						// The grant refers to a second version, and the parameter
						// is deleted. The connect begins another one.
						w.clock.Advance(7 * time.Hour)
						w.mustAnswer(id, generation)
						w.leftAndKilled(id, generation, "after dropping tokens")
						w.clock.Advance(time.Minute)
					}
				}
				cb, n, point := w.consent(id, ""), 0, ""
				func() {
					defer func() {
						if p := recover(); p != nil {
							if _, ok := p.(killed); !ok {
								panic(p)
							}
						}
					}()
					_, err := interceptor(func(p string) {
						if n++; n == k+1 {
							point = p
							panic(killed{})
						}
					}).watchConnect(*w.connect).Finish(t.Context(), cb)
					if err != nil {
						t.Error(err)
					}
				}()
				if point == "" {
					break
				}
				points = append(points, point)

				w.reconcileAll()
				g, err := w.store.Grant(t.Context(), credentials.Athlete(id))
				if err != nil && !fault.Is(err, fault.NotFound) {
					t.Fatal(err)
				}
				if g.HasPendingTasks() {
					t.Errorf("killed %s: still pending: %+v", point, g)
				}
				if g.State == credentials.Active {
					published := eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)
					if published[len(published)-1].Generation != g.Generation {
						t.Errorf("killed %s: in force, but not published", point)
					}
					if res := w.by(w.process(w.patient), id, g.Generation); res.Outcome != credentialsv1.OutcomeAnswered {
						lost = append(lost, point)
					}
					continue
				}
				if w.vault.Holds(credentials.Athlete(id)) {
					t.Errorf("killed %s: tokens are left", point)
				}
				if w.strava.Athletes()[0].Connected {
					lost = append(lost, point)
				}
			}
			// Between these two only this process has the pair.
			if want := []string{"after exchanging the code", "before writing the grant"}; !slices.Equal(lost, want) {
				t.Errorf("lost when killed %q, want %q", lost, want)
			}
			if len(points) < 15 {
				t.Errorf("only %d points were tried: %q", len(points), points)
			}
		})
	}
}

// leftAndKilled has an athlete leave, and kills the process at the point given.
func (w *world) leftAndKilled(id, generation int64, point string) {
	w.t.Helper()
	defer func() {
		if p := recover(); p != (killed{}) {
			w.t.Fatalf("not killed: %v", p)
		}
	}()
	revocation := interceptor(func(p string) {
		if p == point {
			panic(killed{})
		}
	}).watchReconciler(w.reconciler)
	_ = revocation.HandleErasureRequest(w.t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now())
}

// TestAnInsufficientAuthorizationIsRevoked: the athlete has removed the application at
// Strava, and then accepts insufficient scopes. Without a working grant, the
// authorization would take up a place for good.
func TestAnInsufficientAuthorizationIsRevoked(t *testing.T) {
	for _, state := range []credentials.State{credentials.Degraded, credentials.Revoked} {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		generation := w.connected(id)
		if state == credentials.Revoked {
			w.leftAndKilled(id, generation, "before revoking")
		}
		if err := w.strava.Deauthorize(id); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(7 * time.Hour)
		w.forward(id, generation)
		if g := w.grant(id); g.State != state {
			t.Fatalf("state %s", g.State)
		}
		cb := w.consent(id, "&accept_scope=read")
		cb.Scope = "read,activity:read" // The scopes from the browser do not count.
		if _, err := w.connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrMissingScope) {
			t.Fatal(err)
		}
		if w.atStrava(0) {
			t.Errorf("%s: Strava still counts the athlete", state)
		}
	}
}

// TestAnAuthorizationThatCannotBeRevokedStaysPending: the athlete accepted
// insufficient scopes, and Strava is down when the authorization is to be revoked.
func TestAnAuthorizationThatCannotBeRevokedStaysPending(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.down("revoke")
	cb := w.consent(id, "&accept_scope=read")
	cb.Scope = "read,activity:read" // The scopes from the browser do not count.
	if _, err := w.connect.Finish(t.Context(), cb); err == nil {
		t.Fatal("no error")
	}
	w.days(2)
	if g := w.grant(id); !w.strava.Athletes()[0].Connected || len(g.Candidates) != 1 || !g.HasPendingTasks() {
		t.Errorf("it is gone while Strava is down: %+v", g)
	}
	w.strava.ClearFaults()
	w.reconcileAll()
	w.mustBeErased(id, "when Strava was back")
}

// TestALeaseThatWasNeverReleasedExpires: another process takes it over, without a
// task.
func TestALeaseThatWasNeverReleasedExpires(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	lease(t, w, id, "dead", w.clock.Now().Add(time.Minute))
	if err := w.reconciler.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.Lease.Owner != "dead" {
		t.Error("a lease that still lasts was taken away")
	}
	w.reconcileAll()
	if g := w.grant(id); g.HasPendingTasks() || g.State != credentials.Active {
		t.Errorf("grant %+v", g)
	}
	w.mustAnswer(id, generation)
}

// TestReconcilingOneGrantDoesNotWaitForAnother: one that fails, or that is not
// due, does not delay the others.
func TestReconcilingOneGrantDoesNotWaitForAnother(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.down("revoke")
	for i := range 3 {
		id := w.athlete(i)
		if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), w.connected(id), fmt.Sprint("receipt ", id), w.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	w.strava.ClearFaults()
	if err := w.strava.Inject(strava.Fault{Endpoint: "revoke", Athlete: w.athlete(0), Kind: strava.Fault503, Count: -1}); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	for i, want := range []credentials.State{credentials.Revoked, credentials.Erased, credentials.Erased} {
		if g := w.grant(w.athlete(i)); g.State != want {
			t.Errorf("athlete %d: state %s", i, g.State)
		}
	}
	// Without time left, nothing is begun.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	calls := w.strava.Counters().Total("", 0)
	w.clock.Advance(6 * time.Hour)
	if err := w.reconciler.Reconcile(ctx); err != nil {
		t.Fatal(err)
	}
	if n := w.strava.Counters().Total("", 0); n != calls {
		t.Errorf("%d calls without time left", n-calls)
	}
}

// TestLeavingByDeauthorization: deauthorization needs a valid access token,
// and a refresh fetches one. The process is killed at every point of that.
func TestLeavingByDeauthorization(t *testing.T) {
	for _, life := range []time.Duration{time.Hour, 7 * time.Hour} {
		for k := 0; ; k++ {
			w := newWorld(t, strava.Settings{})
			w.use(settings.RevocationDeauthorize)
			id := w.athlete(0)
			generation := w.connected(id)
			w.clock.Advance(life)
			n, point, last := 0, "", ""
			func() {
				defer func() { _ = recover() }()
				revocation := interceptor(func(p string) {
					if n++; n == k+1 {
						point = p
						panic(killed{})
					}
					last = p
				}).watchReconciler(w.reconciler)
				if err := revocation.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
					t.Error(err)
				}
			}()
			if point == "before writing the grant" && k == 0 { // Nothing is written yet.
				continue
			}
			w.reconcileAll()
			// Between Strava's response and the write, only the killed process had
			// the new token.
			if life > 6*time.Hour && (point == "after asking Strava" || last == "after asking Strava") {
				if g := w.grant(id); g.State != credentials.Erased || w.vault.Holds(credentials.Athlete(id)) {
					t.Errorf("killed %s: %+v", point, g)
				}
				continue
			}
			w.mustBeErased(id, fmt.Sprintf("a token of %s, killed %q", life, point))
			c := w.strava.Counters()
			if c.Total(strava.EndpointRevoke, 0) != 0 || c.Total(strava.EndpointDeauthorize, 0) == 0 {
				t.Errorf("Strava was asked %+v", c.Calls)
			}
			if point == "" {
				if refreshed := c.Total(strava.EndpointRefresh, 0) == 1; refreshed != (life > 6*time.Hour) {
					t.Errorf("a token of %s: refreshed %v", life, refreshed)
				}
				if k < 15 {
					t.Errorf("only %d points were tried", k)
				}
				break
			}
		}
	}
}

// TestLeavingByDeauthorizationWithoutTime: no token is fetched without time to
// save it.
func TestLeavingByDeauthorizationWithoutTime(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	w.use(settings.RevocationDeauthorize)
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.reconciler.HandleErasureRequest(ctx, cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 0 {
		t.Errorf("%d refreshes", n)
	}
	w.reconcileAll()
	w.mustBeErased(id, "later")
}

// TestReconnectingWithOtherScopes is a new authorization: its scopes count, the
// earlier generation is over, and its event has everything read again that the
// earlier one gathered.
func TestReconnectingWithOtherScopes(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	for _, scopes := range [][]string{{"read", "activity:read"}, {"read", "activity:read", "activity:read_all"}} {
		w.clock.Advance(time.Minute)
		if _, err := w.connect.Finish(t.Context(), w.consent(id, "&accept_scope="+strings.Join(scopes, ","))); err != nil {
			t.Fatal(err)
		}
		g := w.grant(id)
		published := eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)
		if last := published[len(published)-1]; !slices.Equal(g.Scopes, scopes) || !slices.Equal(last.Scopes, scopes) || last.Generation != g.Generation {
			t.Errorf("%v: grant %+v, published %+v", scopes, g, last)
		}
		if res := w.forward(id, first); res.Outcome != credentialsv1.OutcomeRevoked {
			t.Errorf("%v: the earlier authorization: %s", scopes, res.Outcome)
		}
		w.mustAnswer(id, g.Generation)
		first = g.Generation
	}
	if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 0 {
		t.Errorf("%d revocations were published", n)
	}
}

// TestAForgedClaimAgainstAMissingScope: a grant is degraded, but its
// tokens are valid, so Strava confirms the authorization.
func TestAForgedClaimAgainstAMissingScope(t *testing.T) {
	for _, age := range []time.Duration{time.Hour, 7 * time.Hour} {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		generation := w.connected(id)
		if err := w.tokens.Degrade(t.Context(), credentials.Athlete(id), generation, credentialsv1.DegradedScopeMissing); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(age)
		if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
			t.Fatal(err)
		}
		if g := w.grant(id); g.State != credentials.Degraded || g.Reason != credentialsv1.DegradedScopeMissing || g.HasPendingTasks() || !w.vault.Holds(credentials.Athlete(id)) {
			t.Errorf("after %s: %+v", age, g)
		}
		if err := w.strava.Deauthorize(id); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(7 * time.Hour)
		if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
			t.Fatal(err)
		}
		w.mustBeErased(id, "after a true one")
	}
}

// TestAPendingClaimDelaysNoConnect: Strava cannot be asked about a claim for
// 7 days, and the athlete connects again meanwhile, which is cut off.
func TestAPendingClaimDelaysNoConnect(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.loseAnswer(id, generation)
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	g := w.grant(id)
	if g.State != credentials.Degraded || g.Claim.CheckAt.Sub(w.clock.Now()) < 6*24*time.Hour {
		t.Fatalf("grant %+v", g)
	}
	w.clock.Advance(2 * 24 * time.Hour)
	if err := w.reconciler.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.killedAt(id, "after writing the grant")
	w.clock.Advance(10 * time.Minute)
	if err := w.reconciler.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Active {
		t.Errorf("not completed: %+v", g)
	}
	if n := w.counts.Of(metric.Overdue); n != 0 {
		t.Errorf("%d overdue", n)
	}
}

// TestAMissingScopeDisprovesAClaim: Strava also answers 401 to a valid token that
// lacks a scope. Its authorization stands.
func TestAMissingScopeDisprovesAClaim(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	if err := w.tokens.Degrade(t.Context(), credentials.Athlete(id), generation, credentialsv1.DegradedTokenRefused); err != nil {
		t.Fatal(err)
	}
	w.reconciler.Revocation.API = missesScope{}
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Degraded || !g.Claim.ClaimedAt.IsZero() {
		t.Errorf("%+v", g)
	}
}

// missesScope answers every call as Strava does when a scope is missing.
type missesScope struct{}

func (missesScope) Get(context.Context, secret.String, string, map[string]string) (credentials.APIResponse, error) {
	return credentials.APIResponse{Sent: true, Status: http.StatusUnauthorized, Refused: credentials.ErrInsufficientScope}, nil
}

// TestAClaimAboutDamagedTokensWaits until the data has aged out: no token is left by
// which Strava could be asked.
func TestAClaimAboutDamagedTokensWaits(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.loseAnswer(id, w.connected(id))
	damaged := rewire(w.reconciler, func(s *credentials.TokenStore) { s.Vault = damagedVault{s.Vault} })
	if err := damaged.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Degraded || g.Retry.Attempts > 0 || g.Claim.CheckAt.Sub(w.clock.Now()) < 6*24*time.Hour {
		t.Errorf("%+v", g)
	}
}

// sealedShut cannot open any pair.
type sealedShut struct {
	credentials.Sealer
	kind fault.Kind
}

func (s sealedShut) Open(context.Context, credentials.Account, []byte) (credentials.TokenPair, error) {
	return credentials.TokenPair{}, fault.New(s.kind, "cannot be opened")
}

// TestAPairThatCannotBeOpenedDelaysNoErasure: the key fails for the pair of a
// connect that was cut off, or the pair is damaged. The other boundaries erase at
// once; a damaged pair is dropped.
func TestAPairThatCannotBeOpenedDelaysNoErasure(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Permanent, fault.Transient} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, strava.Settings{})
			id := w.athlete(0)
			generation := w.connected(id)
			w.clock.Advance(time.Minute)
			w.killedAt(id, "after writing the grant")
			w.clock.Advance(10 * time.Second)
			shut := rewire(w.reconciler, func(s *credentials.TokenStore) { s.Sealer = sealedShut{s.Sealer, kind} })
			if err := shut.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
				t.Fatal(err)
			}
			if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 1 {
				t.Errorf("published %d times", n)
			}
			w.clock.Advance(6 * time.Hour)
			if err := shut.Reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			if g := w.grant(id); (g.State == credentials.Erased && !g.HasPendingTasks()) != (kind == fault.Permanent) {
				t.Errorf("%+v", g)
			}
			if n := w.counts.Of(metric.Unsaved); (n == 1) != (kind == fault.Permanent) {
				t.Errorf("counted %d times", n)
			}
			if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 1 {
				t.Errorf("published %d times in the end", n)
			}
		})
	}
}

// TestDamagedTokensDelayNoErasure: the pair that the grant refers to cannot be read.
func TestDamagedTokensDelayNoErasure(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	damaged := rewire(w.reconciler, func(s *credentials.TokenStore) { s.Vault = damagedVault{s.Vault} })
	if err := damaged.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Erased || g.HasPendingTasks() || w.vault.Holds(g.Account) {
		t.Errorf("%+v", g)
	}
	if n := w.counts.Of(metric.Unsaved); n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// damagedVault holds parameters that are not token pairs.
type damagedVault struct{ credentials.Vault }

func (damagedVault) Tokens(context.Context, credentials.Account, int64, int64) (credentials.TokenPair, error) {
	return credentials.TokenPair{}, fault.New(fault.Permanent, "something else")
}

func (damagedVault) Latest(context.Context, credentials.Account, int64) (credentials.TokenPair, int64, error) {
	return credentials.TokenPair{}, 0, fault.New(fault.Permanent, "something else")
}

// TestPendingConnectsThatCannotBeImportedDelayNothing: the grants table hangs for
// athletes with pending connects in the vault.
func TestPendingConnectsThatCannotBeImportedDelayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		generation := w.connected(id)
		w.down("revoke")
		if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		w.strava.ClearFaults()
		for i := range int64(200) {
			if err := w.vault.SavePendingConnect(t.Context(), credentials.PendingConnect{Account: credentials.Athlete(1000 + i), ReceivedAt: i}); err != nil {
				t.Fatal(err)
			}
		}
		w.clock.Advance(2 * 24 * time.Hour)
		hanging := rewire(w.reconciler, func(s *credentials.TokenStore) { s.Grants = hangsForOthers{s.Grants, id} })
		ctx, cancel := context.WithTimeout(t.Context(), 238*time.Second)
		defer cancel()
		if err := hanging.Reconcile(ctx); !fault.Is(err, fault.Transient) {
			t.Errorf("got %v", err)
		}
		if n := w.counts.Of(metric.Overdue); n != 1 {
			t.Errorf("%d overdue", n)
		}
		if w.grant(id).State != credentials.Erased {
			t.Error("a hanging import delayed the erasure of another athlete")
		}
		if left, err := w.vault.PendingConnects(t.Context(), credentials.ProviderStrava); err != nil || len(left) != 200 {
			t.Errorf("the vault holds %d of 200 connects that no grant has taken: %v", len(left), err)
		}
	})
}

// hangsForOthers is a grants table that takes writes for one athlete only.
type hangsForOthers struct {
	credentials.Grants
	id int64
}

func (h hangsForOthers) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	if account != credentials.Athlete(h.id) {
		<-ctx.Done()
		return credentials.Grant{}, fault.New(fault.Transient, "hangs")
	}
	return h.Grants.Update(ctx, account, change)
}

// TestADamagedPendingConnectDelaysNoOther: one parameter of a pending connect
// cannot be read.
func TestADamagedPendingConnectDelaysNoOther(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	connect := *w.connect
	connect.Grants = noUpdates{connect.Grants}
	if _, err := connect.Finish(t.Context(), w.consent(id, "")); err == nil {
		t.Fatal("no error")
	}
	damaged := rewire(w.reconciler, func(s *credentials.TokenStore) { s.Vault = oneDamaged{s.Vault} })
	for range 2 {
		if err := damaged.Reconcile(t.Context()); !fault.Is(err, fault.Permanent) {
			t.Errorf("got %v", err)
		}
		w.clock.Advance(5 * time.Minute)
	}
	w.mustAnswer(id, w.grant(id).Generation)
}

// oneDamaged is a vault with a parameter that is not a pair of a connect.
type oneDamaged struct{ credentials.Vault }

func (v oneDamaged) PendingConnects(ctx context.Context, provider string) ([]credentials.PendingConnect, error) {
	received, err := v.Vault.PendingConnects(ctx, provider)
	if err == nil {
		err = fault.New(fault.Permanent, "something else")
	}
	return received, err
}

// TestAPendingConnectThatCannotBeImportedDelaysNoOther: two pending
// connects are in the vault, and the grants table hangs for the first one.
func TestAPendingConnectThatCannotBeImportedDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, strava.Settings{})
		connect := *w.connect
		connect.Grants = noUpdates{connect.Grants}
		for i := range 2 {
			if _, err := connect.Finish(t.Context(), w.consent(w.athlete(i), "")); err == nil {
				t.Fatal("no error")
			}
		}
		id := w.athlete(1)
		hanging := rewire(w.reconciler, func(s *credentials.TokenStore) { s.Grants = hangsForOthers{s.Grants, id} })
		if err := hanging.Reconcile(t.Context()); !fault.Is(err, fault.Transient) {
			t.Errorf("got %v", err)
		}
		w.reconcileAll()
		w.mustAnswer(id, w.grant(id).Generation)
	})
}
