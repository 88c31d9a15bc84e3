package credentials_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/strava"
)

func cause() event.Meta { return event.Meta{ID: "cause", CorrelationID: "correlation"} }

func TestLeavingRevokesAtStravaDeletesTheTokensAndConfirmsThat(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	requestedAt := w.clock.Now()
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", requestedAt); err != nil {
		t.Fatal(err)
	}
	if n := w.strava.Counters().Total(strava.EndpointRevoke, 0); n != 2 { // Once for each token.
		t.Errorf("Strava was called %d times", n)
	}
	if w.strava.Athletes()[0].Connected {
		t.Error("Strava still counts the athlete")
	}
	if w.vault.Holds(credentials.Athlete(id)) {
		t.Error("tokens are left")
	}
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("outcome %s", res.Outcome)
	}
	revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
	if d := cmp.Diff([]credentialsv1.AuthorizationRevoked{{
		AthleteID: id, Generation: generation, Receipt: "receipt", Reason: credentialsv1.RevokedLeft, RequestedAt: requestedAt.UTC(),
	}}, revoked); d != "" {
		t.Errorf("published (-want +got)\n%s", d)
	}

	w.mustBeConfirmed("receipt", "")
	if events := w.bus.Events(); events[len(events)-1].Meta.CorrelationID != cause().CorrelationID {
		t.Errorf("%+v does not say what caused it", events[len(events)-1])
	}
}

func TestAnErasureIsConfirmedOnce(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.down("revoke")
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), w.connected(id), "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.mustBeConfirmed("receipt") // by nothing, while Strava still counts the athlete
	w.strava.ClearFaults()
	w.bus.Fail(fault.New(fault.Transient, "boom"))
	w.reconcileAll()
	w.mustBeConfirmed("receipt")
	w.bus.Fail(nil)
	for range 3 {
		w.clock.Advance(time.Hour)
		w.reconcileAll()
	}
	if n := len(eventtest.Facts[credentialsv1.ErasureCompleted](w.bus)); n != 1 {
		t.Errorf("confirmed %d times", n)
	}
}

func TestARepeatedRevocationChangesNothing(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	for range 3 {
		if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.strava.Counters().Total(strava.EndpointRevoke, 0); n != 2 { // Once for each token.
		t.Errorf("Strava was called %d times", n)
	}
}

func TestALateRevocationDoesNotEndANewAuthorization(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	requested := w.clock.Now()
	second := w.connected(id)
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), first, "receipt", requested); err != nil {
		t.Fatal(err)
	}
	w.mustAnswer(id, second)
	// The data of the first authorization is erased all the same.
	if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
}

// TestLeavingFromAnEarlierSession: the athlete signed in again in another browser
// since, and leaves in the first one.
func TestLeavingFromAnEarlierSession(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	second := w.connected(id)
	w.clock.Advance(time.Minute)
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), first, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustBeErased(id, "left in the first browser")
	if revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus); len(revoked) != 1 || revoked[0].Generation != second {
		t.Errorf("published %+v", revoked)
	}
}

func TestConnectingAfterLeaving(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	first := w.connected(id)
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), first, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	second := w.connected(id)
	if second <= first {
		t.Errorf("generation %d after %d", second, first)
	}
	w.mustAnswer(id, second)
}

func TestAForgedDeauthorizationDestroysNothing(t *testing.T) {
	for _, rotation := range rotations {
		w := newWorld(t, strava.Settings{Rotation: rotation})
		id := w.athlete(0)
		generation := w.connected(id)
		w.clock.Advance(5*time.Hour + 30*time.Minute)
		if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
			t.Fatal(err)
		}
		w.mustAnswer(id, generation)
		if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 0 {
			t.Errorf("%s: published", rotation)
		}
	}
}

func TestADeauthorizationThatCannotBeVerifiedStaysPending(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	w.connected(id)
	if err := w.strava.Deauthorize(id); err != nil {
		t.Fatal(err)
	}
	if err := w.strava.Inject(strava.Fault{Endpoint: strava.EndpointRefresh, Kind: strava.Fault503}); err != nil {
		t.Fatal(err)
	}
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Active || g.Claim.ClaimedAt.IsZero() {
		t.Errorf("it was believed, or forgotten: %+v", g)
	}
	w.reconcileAll()
	w.mustBeErased(id, "when Strava was back")
	published := w.bus.Events()
	if last := published[len(published)-1]; last.Meta.CorrelationID != cause().CorrelationID {
		t.Errorf("%s does not say what caused it", last.Fact.DetailType())
	}
}

func TestADeauthorizationOfAnUnknownAthleteIsIgnored(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(99)); err != nil {
		t.Fatal(err)
	}
	if n := len(eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)); n != 0 {
		t.Error("published")
	}
}

// cut stops a revocation at its nth call to a port.
type cut struct{ left int }

var errCut = fault.New(fault.Transient, "cut off")

func (c *cut) step() error {
	if c.left--; c.left < 0 {
		return errCut
	}
	return nil
}

type cutGrants struct {
	credentials.Grants
	*cut
}

func (c cutGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	if err := c.step(); err != nil {
		return credentials.Grant{}, err
	}
	return c.Grants.Update(ctx, account, change)
}

type cutVault struct {
	credentials.Vault
	*cut
}

func (c cutVault) DeleteTokens(ctx context.Context, account credentials.Account, generation int64) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Vault.DeleteTokens(ctx, account, generation)
}

type cutOAuth struct {
	credentials.OAuth
	*cut
}

func (c cutOAuth) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.OAuth.Revoke(ctx, app, pair)
}

type cutBus struct {
	credentials.Publisher
	*cut
}

func (c cutBus) Publish(ctx context.Context, events ...event.Event) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Publisher.Publish(ctx, events...)
}

func TestARevocationCutOffAnywhereIsCompletedLater(t *testing.T) {
	for name, revoke := range map[string]func(*world, *credentials.Reconciler, int64, int64) error{
		"left": func(w *world, d *credentials.Reconciler, id, generation int64) error {
			return d.HandleErasureRequest(w.t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now())
		},
		"deauthorized": func(w *world, d *credentials.Reconciler, id, _ int64) error {
			return d.HandleDeauthorization(w.t.Context(), cause(), credentials.Athlete(id))
		},
	} {
		t.Run(name, func(t *testing.T) {
			steps := 0
			for ; ; steps++ {
				w := newWorld(t, strava.Settings{})
				id := w.athlete(0)
				generation := w.connected(id)
				if name == "deauthorized" {
					if err := w.strava.Deauthorize(id); err != nil {
						t.Fatal(err)
					}
				}
				c := &cut{steps}
				broken := rewire(w.reconciler, func(s *credentials.TokenStore) {
					s.Grants, s.Vault, s.Publisher = cutGrants{s.Grants, c}, cutVault{s.Vault, c}, cutBus{s.Publisher, c}
				})
				broken.setOAuth(cutOAuth{w.oauth, c})
				first := revoke(w, broken.Reconciler, id, generation)
				if first != nil { // Nothing is written yet; SQS delivers the message again.
					if err := revoke(w, w.reconciler, id, generation); err != nil {
						t.Fatalf("cut at step %d: brought again: %v", steps, err)
					}
				}
				w.reconcileAll()
				if w.grant(id).State == credentials.Degraded {
					// A refresh was cut off, so Strava's refusal is no proof. The claim
					// waits until the data is old.
					w.clock.Advance(7 * 24 * time.Hour)
					w.reconcileAll()
				}
				w.mustBeErased(id, "cut at step "+strconv.Itoa(steps))
				revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
				if len(revoked) == 0 {
					t.Fatalf("cut at step %d: never published", steps)
				}
				if len(w.confirmed(revoked[0].Receipt)) == 0 {
					t.Fatalf("cut at step %d: not confirmed", steps)
				}
				if c.left >= 0 {
					break
				}
			}
			if steps < 9 {
				t.Fatalf("only %d steps were cut", steps)
			}
		})
	}
}

// TestLeavingAlsoEndsAnUnfinishedSignIn: the athlete's last request
// counts.
func TestLeavingAlsoEndsAnUnfinishedSignIn(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(time.Minute)
	w.killedAt(id, "after writing the grant")
	w.clock.Advance(10 * time.Second)
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustBeErased(id, "left after an unfinished sign-in")
}

// TestACopyInTheVaultRevivesNothing: the vault took the pair of a connect late,
// in addition to the grant, and the athlete has left since. While Strava is down,
// nothing else shows that the authorization has ended.
func TestACopyInTheVaultRevivesNothing(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	g := w.grant(id)
	pair, _, err := w.vault.Latest(t.Context(), g.Account, g.Generation)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Minute)
	w.left(id, generation)
	if err := w.vault.SavePendingConnect(t.Context(), credentials.PendingConnect{Account: g.Account, ReceivedAt: g.Generation, Scopes: g.Scopes, Tokens: pair}); err != nil {
		t.Fatal(err)
	}
	w.down("any")
	w.reconcileAll()
	w.reconcileAll()
	if n := len(eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)); n != 1 {
		t.Errorf("authorized %d times", n)
	}
	if g := w.grant(id); g.State != credentials.Erased {
		t.Errorf("revived: %+v", g)
	}
	w.strava.ClearFaults()
	w.reconcileAll()
	w.reconcileAll()
	w.mustBeErased(id, "in the end")
}

// TestLeavingWithAConnectInTheVault: the only trace of the athlete's latest
// authorization is in the vault.
func TestLeavingWithAConnectInTheVault(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.loseAnswer(id, generation)
	connect := *w.connect
	connect.Grants = noUpdates{connect.Grants}
	if _, err := connect.Finish(t.Context(), w.consent(id, "")); err == nil {
		t.Fatal("no error")
	}
	w.clock.Advance(time.Minute)
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.reconcileAll()
	}
	w.mustBeErased(id, "left")
}

// killedAt kills a connect of the athlete at a point.
func (w *world) killedAt(id int64, at string) {
	w.t.Helper()
	cb := w.consent(id, "")
	defer func() {
		if _, ok := recover().(killed); !ok {
			w.t.Fatalf("the connect was not killed %s", at)
		}
	}()
	_, _ = interceptor(func(point string) {
		if point == at {
			panic(killed{})
		}
	}).watchConnect(*w.connect).Finish(w.t.Context(), cb)
}

// loseAnswer has the grant degrade although Strava still counts the athlete: a
// refresh was killed before it saved Strava's response.
func (w *world) loseAnswer(id, generation int64) {
	w.t.Helper()
	w.clock.Advance(7 * time.Hour)
	func() {
		defer func() { _ = recover() }()
		w.by(interceptor(func(point string) {
			if point == "after asking Strava" {
				panic(killed{})
			}
		}).watch(w.process(w.patient)), id, generation)
	}()
	w.clock.Advance(2 * time.Minute)
	if o := w.by(w.process(w.patient), id, generation).Outcome; o != credentialsv1.OutcomeDegraded {
		w.t.Fatalf("outcome %s", o)
	}
}

// noUpdates is a grants table that takes no writes.
type noUpdates struct{ credentials.Grants }

func (noUpdates) Update(context.Context, credentials.Account, func(*credentials.Grant) (changed bool, err error)) (credentials.Grant, error) {
	return credentials.Grant{}, fault.New(fault.Transient, "throttled")
}

// TestALateRestoreDoesNotUndoLeaving: Strava's answer to a refresh that outlived its
// lease restores a degraded grant, while the athlete's request to leave is being
// delivered.
func TestALateRestoreDoesNotUndoLeaving(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	var requested time.Time
	w.by(interceptor(func(point string) {
		if point == "after asking Strava" && requested.IsZero() {
			requested = w.clock.Now()
			w.clock.Advance(61 * time.Second) // The lease is over.
			w.by(w.process(w.patient), id, generation)
			if s := w.grant(id).State; s != credentials.Degraded {
				t.Fatalf("state %s", s)
			}
			requested = w.clock.Now()
			w.clock.Advance(2 * time.Second)
		}
	}).watch(w.process(w.patient)), id, generation)
	if s := w.grant(id).State; s != credentials.Active {
		t.Fatalf("state %s", s)
	}
	if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", requested); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustBeErased(id, "left")
}

// TestALostAnswerBesideASignInIsNoProof: Strava gives a sign-in the present refresh
// token, and a refresh in flight, which is then killed, replaces it. That the
// sign-in's pair is refused says nothing about the athlete.
func TestALostAnswerBesideASignInIsNoProof(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateNever})
	id := w.athlete(0)
	generation := w.connected(id)
	w.clock.Advance(7 * time.Hour)
	func() {
		defer func() { _ = recover() }()
		w.by(interceptor(func(p string) {
			switch p {
			case "before asking Strava":
				w.clock.Advance(time.Second)
				if _, err := w.connect.Finish(t.Context(), w.consent(id, "")); err != nil {
					t.Fatal(err)
				}
				if err := w.strava.UpdateSettings(func(s *strava.Settings) { s.Rotation = strava.RotateAlways }); err != nil {
					t.Fatal(err)
				}
			case "after asking Strava":
				panic(killed{})
			}
		}).watch(w.process(w.patient)), id, generation)
	}()
	w.clock.Advance(7 * time.Hour)
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), credentials.Athlete(id)); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Degraded {
		t.Errorf("ended without proof: %+v, at Strava %v", g, w.strava.Athletes()[0].Connected)
	}
}

// TestALaterRequestIsNotCompletedWithAnEarlierOne: the athlete asks to leave again
// at every step of the first leave's completion. Each receipt is confirmed, and
// each end published.
func TestALaterRequestIsNotCompletedWithAnEarlierOne(t *testing.T) {
	for step := 0; ; step++ {
		w := newWorld(t, strava.Settings{})
		id := w.athlete(0)
		generation := w.connected(id)
		n, point := 0, ""
		left := interceptor(func(p string) {
			if n++; n == step+1 {
				point = p
				if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "second", w.clock.Now()); err != nil {
					t.Fatal(err)
				}
			}
		}).watchReconciler(w.reconciler)
		if err := left.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "first", w.clock.Now()); err != nil {
			t.Fatal(err)
		}
		if point == "" {
			break
		}
		w.reconcileAll()
		w.mustBeErased(id, point)
		for _, receipt := range []string{"first", "second"} {
			if len(w.confirmed(receipt)) == 0 {
				t.Errorf("%s: %s is not confirmed", point, receipt)
			}
		}
	}
}

// TestDeauthorizationKilledAnywhere: with an invalid access token, deauthorization
// needs a refresh first. Killed at any point but between Strava's response and the
// first write, it is completed later.
func TestDeauthorizationKilledAnywhere(t *testing.T) {
	var lost []string
	for step := 0; ; step++ {
		w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
		w.use(settings.RevocationDeauthorize)
		id := w.athlete(0)
		generation := w.connected(id)
		w.clock.Advance(7 * time.Hour)
		n, point := 0, ""
		func() {
			defer func() {
				if p := recover(); p != nil && p != (killed{}) {
					panic(p)
				}
			}()
			_ = interceptor(func(p string) {
				if n++; n == step+1 {
					point = p
					panic(killed{})
				}
			}).watchReconciler(w.reconciler).HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now())
		}()
		if point == "" {
			break
		}
		if w.grant(id).State == credentials.Active {
			// Nothing was written, so the queue delivers the request again.
			if err := w.reconciler.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(id), generation, "receipt", w.clock.Now()); err != nil {
				t.Fatal(err)
			}
		}
		w.reconcileAll()
		w.reconcileAll()
		if w.atStrava(0) {
			lost = append(lost, point)
			continue
		}
		w.mustBeErased(id, point)
	}
	if want := []string{"after asking Strava", "before writing the grant"}; !slices.Equal(lost, want) {
		t.Errorf("lost when killed %q, want %q", lost, want)
	}
}
