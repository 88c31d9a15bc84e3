package credentials_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/standin/fitbit"
	"github.com/paceline/paceline/standin/strava"
)

// second is another athlete, connected at Strava, in a world of linked accounts.
func (w *world) second() int64 {
	w.t.Helper()
	id := w.strava.Athletes()[1].ID
	g, err := w.store.Grant(w.t.Context(), credentials.Athlete(id))
	if err == nil && g.State == credentials.Active {
		return id
	}
	w.asStrava(func() { w.connected(id) })
	return id
}

// asStrava runs do on the athletes' own accounts.
func (w *world) asStrava(do func()) {
	connect, client, site := w.connect, w.client, w.fitbit
	w.connect, w.client, w.fitbit = w.athletes.Connect, w.stravaClient, nil
	do()
	w.connect, w.client, w.fitbit = connect, client, site
}

// linking has an athlete link an account, up to the callback.
func (w *world) linking(athleteID, id int64, more string) credentials.Callback {
	before := w.owner
	defer func() { w.owner = before }()
	w.owner = athleteID
	return w.consent(id, more)
}

// athleteLeaves ends an athlete's authorization, with its links.
func (w *world) athleteLeaves(r *credentials.Reconciler, athleteID int64, receipt string) error {
	g, err := w.store.Grant(w.t.Context(), credentials.Athlete(athleteID))
	if err != nil {
		return err
	}
	return r.HandleErasureRequest(w.t.Context(), cause(), credentials.Athlete(athleteID), g.Generation, receipt, w.clock.Now())
}

func (w *world) athleteGrant(id int64) credentials.Grant {
	w.t.Helper()
	g, err := w.store.Grant(w.t.Context(), credentials.Athlete(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func TestLinkingAnAccount(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	generation := w.connected(id)
	w.mustAnswer(id, generation)
	athlete := w.athleteGrant(w.owner)
	if d := cmp.Diff([]credentials.Link{{Account: w.account(id), Generation: generation}}, athlete.Links); d != "" {
		t.Error(d)
	}
	want := []credentialsv1.AccountLinked{{
		AthleteID: w.owner, AthleteGeneration: athlete.Generation, Provider: "fitbit", AccountID: w.account(id).ID,
		Generation: generation, LinkedAt: time.UnixMilli(generation).UTC(),
	}}
	if d := cmp.Diff(want, eventtest.Facts[credentialsv1.AccountLinked](w.bus)); d != "" {
		t.Error(d)
	}
	if n := len(eventtest.Facts[credentialsv1.AthleteAuthorized](w.bus)); n != 1 {
		t.Errorf("%d athletes were published", n)
	}

	// A later consent renews the authorization; the account is linked since the first.
	w.clock.Advance(24 * time.Hour)
	w.asStrava(func() { w.connected(w.owner) }) // A sign-in keeps the links.
	again := w.connected(id)
	w.mustAnswer(id, again)
	linked := eventtest.Facts[credentialsv1.AccountLinked](w.bus)
	if len(linked) != 2 || linked[1].Generation != again || !linked[1].LinkedAt.Equal(want[0].LinkedAt) {
		t.Errorf("published %+v", linked)
	}
	if links := w.athleteGrant(w.owner).Links; len(links) != 1 || links[0].Generation != again {
		t.Errorf("links %+v", links)
	}
	w.mustBeSilent()
}

func TestUnlinkingRevokesErasesAndConfirmsThat(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	generation := w.connected(id)
	receipt, err := w.links.Unlink(t.Context(), w.asOwner())
	if err != nil {
		t.Fatal(err)
	}
	w.mustBeErased(id, "unlinked")
	want := []credentialsv1.AccountUnlinked{{
		AthleteID: w.owner, Provider: "fitbit", AccountID: w.account(id).ID, Generation: generation,
		Receipt: receipt, Reason: credentialsv1.UnlinkedByAthlete, RequestedAt: w.clock.Now().UTC(),
	}}
	if d := cmp.Diff(want, eventtest.Facts[credentialsv1.AccountUnlinked](w.bus)); d != "" {
		t.Error(d)
	}
	w.mustBeConfirmed(receipt, "fitbit")
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("outcome %s", res.Outcome)
	}
	if _, err := w.links.Unlink(t.Context(), w.asOwner()); !errors.Is(err, credentials.ErrNotLinked) {
		t.Errorf("again: %v", err)
	}
	if g := w.athleteGrant(w.owner); g.State != credentials.Active {
		t.Errorf("the athlete's own grant: %+v", g)
	}
	// Linking again works.
	w.mustAnswer(id, w.connected(id))
}

func TestUnlinkingAgainMeanwhileReturnsTheSameReceipt(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.connected(id)
	if err := w.fitbit.Inject(fitbit.Fault{Endpoint: fitbit.EndpointRevoke, Kind: fitbit.FaultAnswer, Status: 503, Count: -1}); err != nil {
		t.Fatal(err)
	}
	first, err := w.links.Unlink(t.Context(), w.asOwner())
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.links.Unlink(t.Context(), w.asOwner())
	if err != nil || first != second {
		t.Errorf("%s, then %s (%v)", first, second, err)
	}
	if !w.linked(id) {
		t.Error("the link is gone before the account is revoked")
	}
	w.fitbit.ClearFaults()
	w.reconcileAll()
	w.mustBeErased(id, "afterwards")
}

// TestLeavingEndsTheLinks: the receipt is issued when the linked account is
// revoked and erased, too, and names it.
func TestLeavingEndsTheLinks(t *testing.T) {
	for name, end := range map[string]func(*world) error{
		"left": func(w *world) error { return w.athleteLeaves(w.athletes, w.owner, "receipt") },
		"withdrawn at Strava": func(w *world) error {
			if err := w.strava.Deauthorize(w.owner); err != nil {
				return err
			}
			return w.athletes.HandleDeauthorization(w.t.Context(), cause(), credentials.Athlete(w.owner))
		},
		"ended by the admin": func(w *world) error {
			_, err := w.admin.RevokeAthlete(w.t.Context(), w.owner)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, strava.Settings{Rotation: onFitbit})
			id := w.athlete(0)
			generation := w.connected(id)
			if err := end(w); err != nil {
				t.Fatal(err)
			}
			if links := w.athleteGrant(w.owner).Links; len(links) > 0 {
				t.Errorf("links %+v", links)
			}
			if err := w.athletes.Reconcile(t.Context()); err != nil { // What the admin left to it.
				t.Fatal(err)
			}
			w.clock.Advance(2 * time.Minute)
			if err := w.athletes.Reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			// Strava's functions cannot read the linked account's tokens, and yet its
			// authorization ends.
			if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
				t.Errorf("outcome %s", res.Outcome)
			}
			revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
			if len(revoked) != 1 {
				t.Fatalf("published %+v", revoked)
			}
			receipt := revoked[0].Receipt
			if !slices.Equal(revoked[0].LinkedProviders, []string{"fitbit"}) {
				t.Errorf("published %+v", revoked)
			}
			w.mustBeConfirmed(receipt, "")
			if !w.atSite(id) {
				t.Error("Fitbit does not count the account any more")
			}
			if err := w.reconciler.Reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.mustBeErased(id, name)
			w.mustBeConfirmed(receipt, "", "fitbit")
			if n := len(eventtest.Facts[credentialsv1.AccountUnlinked](w.bus)); n != 0 {
				t.Errorf("%d links were said to end apart from the athlete", n)
			}
			if g := w.athleteGrant(w.owner); g.State != credentials.Erased || len(g.Links) > 0 || g.HasPendingTasks() {
				t.Errorf("grant %+v", g)
			}
		})
	}
}

// TestClearingAStageEndsTheLinks: the admin ends all authorizations, one by one.
func TestClearingAStageEndsTheLinks(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.connected(id)
	w.admin.Providers = provider.Names
	if all, err := w.admin.RevokeAll(t.Context()); err != nil || all.Ended != 2 || len(all.Receipts) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	w.reconcileAll()
	w.reconcileAll()
	w.mustBeErased(id, "cleared")
	var published []string
	for _, f := range eventtest.Facts[credentialsv1.AccountUnlinked](w.bus) {
		published = append(published, f.Receipt)
		w.mustBeConfirmed(f.Receipt, "fitbit")
	}
	for _, f := range eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus) {
		published = append(published, f.Receipt)
		w.mustBeConfirmed(f.Receipt, slices.Concat([]string{""}, f.LinkedProviders)...)
	}
	all, err := w.admin.RevokeAll(t.Context())
	if err != nil || !all.Remaining.Empty() {
		t.Errorf("%+v, %v", all, err)
	}
	mustBeIssued(t, all.Receipts, published...)
}

// TestEachReceiptStandsForTheLinks: an authorization that ends in two ways has
// two receipts.
func TestEachReceiptStandsForTheLinks(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.connected(id)
	first, err := w.admin.RevokeAthlete(t.Context(), w.owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.athleteLeaves(w.athletes, w.owner, "receipt"); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustBeErased(id, "left")
	for _, receipt := range []string{first, "receipt"} {
		w.mustBeConfirmed(receipt, "", "fitbit")
	}
	for _, f := range eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus) {
		if !slices.Equal(f.LinkedProviders, []string{"fitbit"}) {
			t.Errorf("published %+v", f)
		}
	}
}

// TestALaterReceiptStandsForLinksThatAreNotRevokedYet: the athlete's own part is
// complete when the second request comes, and the linked account's is not.
func TestALaterReceiptStandsForLinksThatAreNotRevokedYet(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.connected(id)
	if _, err := w.admin.RevokeAthlete(t.Context(), w.owner); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Minute)
	if err := w.athletes.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.athleteLeaves(w.athletes, w.owner, "receipt"); err != nil {
		t.Fatal(err)
	}
	for _, f := range eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus) {
		if !slices.Equal(f.LinkedProviders, []string{"fitbit"}) {
			t.Errorf("announced %+v", f)
		}
	}
	w.mustBeConfirmed("receipt", "")
	w.reconcileAll()
	w.mustBeErased(id, "left")
	w.mustBeConfirmed("receipt", "", "fitbit")
	for _, c := range w.athleteGrant(w.owner).Completed {
		if len(c.Links) > 0 {
			t.Errorf("the athlete's grant still names %v", c.Links)
		}
	}
}

// TestARepeatedRequestNamesTheLinksAgain: the first event about the end may be lost
// while the linked account cannot be revoked. Without the link in the second one, the
// erasure would be complete too early.
func TestARepeatedRequestNamesTheLinksAgain(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.connected(id)
	generation := w.athleteGrant(w.owner).Generation
	w.asStrava(func() { w.connected(w.owner) }) // The session that leaves is an earlier one.
	requestedAt := w.clock.Now()
	for range 3 {
		err := w.athletes.HandleErasureRequest(t.Context(), cause(), credentials.Athlete(w.owner), generation, "receipt", requestedAt)
		if err != nil {
			t.Fatal(err)
		}
		if g := w.athleteGrant(w.owner); g.HasPendingTasks() || len(g.Completed) != 1 {
			t.Errorf("grant %+v", g)
		}
		w.clock.Advance(15 * time.Minute)
	}
	revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
	if len(revoked) != 3 {
		t.Errorf("published %+v", revoked)
	}
	for _, f := range revoked {
		if !slices.Equal(f.LinkedProviders, []string{"fitbit"}) {
			t.Errorf("announced %+v", f)
		}
	}
	w.mustBeConfirmed("receipt", "")
	w.reconcileAll()
	w.mustBeErased(id, "left")
	w.mustBeConfirmed("receipt", "", "fitbit")
}

func TestAnAccountIsLinkedToTheAthleteWhoLinkedItLast(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id, second := w.athlete(0), w.second()
	first := w.connected(id)
	w.clock.Advance(time.Hour)
	if _, err := w.connect.Finish(t.Context(), w.linking(second, id, "")); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	g := w.grant(id)
	if g.Owner.AthleteID != second || g.State != credentials.Active || g.HasPendingTasks() || w.linked(id) || len(w.athleteGrant(second).Links) != 1 {
		t.Errorf("grant %+v", g)
	}
	w.mustAnswer(id, g.Generation)
	unlinked := eventtest.Facts[credentialsv1.AccountUnlinked](w.bus)
	if len(unlinked) != 1 || unlinked[0].AthleteID != w.owner || unlinked[0].Generation != first || unlinked[0].Reason != credentialsv1.UnlinkedMoved {
		t.Errorf("published %+v", unlinked)
	}
	linked := eventtest.Facts[credentialsv1.AccountLinked](w.bus)
	if len(linked) != 2 || linked[1].AthleteID != second || !linked[1].LinkedAt.Equal(time.UnixMilli(g.Generation)) {
		t.Errorf("published %+v", linked)
	}
	// The first athlete's leaving does not touch it.
	if err := w.athleteLeaves(w.athletes, w.owner, "receipt"); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustAnswer(id, g.Generation)
}

func TestOneAccountOfAProviderAtATime(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id, other := w.athlete(0), w.athlete(1)
	w.connected(id)
	if _, err := w.connect.Finish(t.Context(), w.consent(other, "")); !errors.Is(err, credentials.ErrOtherAccountLinked) {
		t.Errorf("another account: %v", err)
	}
	w.reconcileAll()
	w.mustAnswer(id, w.grant(id).Generation)
	if w.atSite(other) || w.linked(other) || len(w.held(other)) > 0 {
		t.Error("the other account is connected at Fitbit")
	}
	if _, err := w.links.Unlink(t.Context(), w.asOwner()); err != nil {
		t.Fatal(err)
	}
	w.mustAnswer(other, w.connected(other))
}

// TestAStaleLinkIsReplaced: a link may be left whose account never came
// into force.
func TestAStaleLinkIsReplaced(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	stale := credentials.Account{Provider: "fitbit", ID: "STALE1"}
	if _, err := w.store.Update(t.Context(), credentials.Athlete(w.owner), func(g *credentials.Grant) (bool, error) {
		g.Links = []credentials.Link{{Account: stale, Generation: 1}}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	id := w.athlete(0)
	w.mustAnswer(id, w.connected(id))
	if links := w.athleteGrant(w.owner).Links; len(links) != 1 || links[0].Account != w.account(id) {
		t.Errorf("links %+v", links)
	}
}

// TestLinkingFailsAsConnectingDoes: an athlete can act on a failed connect in the same
// way at both providers.
func TestLinkingFailsAsConnectingDoes(t *testing.T) {
	for _, rotation := range []strava.Rotation{strava.RotateAlways, onFitbit} {
		w := newWorld(t, strava.Settings{Rotation: rotation})
		id := w.athlete(0)
		cb := w.consent(id, "")
		scopes := "&accept_scope=read"
		if rotation == onFitbit {
			scopes = "&accept_scope=profile"
		}
		for name, c := range map[string]struct {
			cb   credentials.Callback
			want error
		}{
			"denied":                 {w.consent(id, "&deny=1"), credentials.ErrAccessDenied},
			"too little allowed":     {w.consent(id, scopes), credentials.ErrMissingScope},
			"a state that is none":   {credentials.Callback{State: cb.Nonce, Nonce: cb.Nonce, Code: cb.Code}, credentials.ErrState},
			"another browser's":      {credentials.Callback{State: cb.State, Nonce: cb.State, Code: cb.Code}, credentials.ErrState},
			"a code of another":      {credentials.Callback{State: w.consent(id, "").State, Nonce: cb.Nonce, Code: cb.Code}, credentials.ErrState},
			"a code that is made up": {func() credentials.Callback { c := w.consent(id, ""); c.Code = c.State; return c }(), credentials.ErrState},
		} {
			if _, err := w.connect.Finish(t.Context(), c.cb); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v", rotation, name, err)
			}
		}
		w.reconcileAll()
		if g, err := w.store.Grant(t.Context(), w.account(id)); err == nil && (g.Authorized() || w.linked(id)) || w.atSite(id) {
			t.Errorf("%s: %+v", rotation, g)
		}
	}
}

// TestAStateIsOfOneProvider: a callback of one provider does not complete a connect of
// another.
func TestAStateIsOfOneProvider(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	cb := w.consent(w.athlete(0), "")
	if _, err := w.athletes.Connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrState) {
		t.Errorf("Fitbit's at Strava's callback: %v", err)
	}
	w.asStrava(func() { cb = w.consent(w.athlete(0), "") })
	if _, err := w.connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrState) {
		t.Errorf("Strava's at Fitbit's callback: %v", err)
	}
}

// TestALinkHasAnOwnerAndASignInHasNone: a connect that was begun wrongly ends
// before its code is exchanged.
func TestALinkHasAnOwnerAndASignInHasNone(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	for _, c := range []struct {
		connect *credentials.Connect
		owner   credentials.Authorization
	}{{w.connect, credentials.Authorization{}}, {w.athletes.Connect, w.asOwner()}} {
		started, err := c.connect.Start(t.Context(), c.owner)
		if err != nil {
			t.Fatal(err)
		}
		cb := credentials.Callback{State: started.State, Nonce: started.Nonce, Code: started.Nonce}
		if _, err := c.connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrState) {
			t.Errorf("owner %+v: %v", c.owner, err)
		}
	}
	if n := w.fitbit.Counters().Total(fitbit.EndpointExchange, ""); n != 0 {
		t.Errorf("%d exchanges", n)
	}
}

// TestALinkNeedsItsAthlete: an athlete who leaves while at Fitbit's consent screen
// links nothing, even if connected again meanwhile.
func TestALinkNeedsItsAthlete(t *testing.T) {
	for _, back := range []bool{false, true} {
		w := newWorld(t, strava.Settings{Rotation: onFitbit})
		id := w.athlete(0)
		cb := w.consent(id, "")
		if err := w.athleteLeaves(w.athletes, w.owner, "receipt"); err != nil {
			t.Fatal(err)
		}
		if back {
			w.clock.Advance(time.Second)
			w.asStrava(func() { w.connected(w.owner) })
		}
		if _, err := w.connect.Finish(t.Context(), cb); !errors.Is(err, credentials.ErrRevoked) {
			t.Errorf("back %v: %v", back, err)
		}
		w.reconcileAll()
		w.mustBeErased(id, "afterwards")
	}
}

// TestALinkThatItsAthleteDoesNotHaveIsRevoked.
func TestALinkThatItsAthleteDoesNotHaveIsRevoked(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	generation := w.connected(id)
	if _, err := w.store.Update(t.Context(), credentials.Athlete(w.owner), func(g *credentials.Grant) (bool, error) {
		g.Links = nil
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Update(t.Context(), w.account(id), func(g *credentials.Grant) (bool, error) {
		g.Unpublished = true
		g.Retry.Since = w.clock.Now()
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("outcome %s", res.Outcome)
	}
	w.reconcileAll()
	w.mustBeErased(id, "afterwards")
	if n := len(eventtest.Facts[credentialsv1.AccountLinked](w.bus)); n != 1 {
		t.Errorf("published %d times", n)
	}
}

// TestALateUnlinkLeavesALaterLink: the athlete connects and links again before the
// end of the earlier authorization is written to the linked account.
func TestALateUnlinkLeavesALaterLink(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.connected(id)
	if _, err := w.admin.RevokeAthlete(t.Context(), w.owner); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Second)
	w.asStrava(func() { w.connected(w.owner) })
	generation := w.connected(id)
	w.reconcileAll()
	w.mustAnswer(id, generation)
	if !w.linked(id) || !w.atSite(id) {
		t.Error("the later link is gone")
	}
}

// TestNoReceiptWhileTokensOfACutOffLinkAreValid: a link is cut off after its pair was
// issued, the athlete leaves, and Fitbit is down.
func TestNoReceiptWhileTokensOfACutOffLinkAreValid(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	w.cutOff("before writing the grant", 2, w.owner, id)
	if err := w.fitbit.Inject(fitbit.Fault{Endpoint: fitbit.EndpointRevoke, Kind: fitbit.FaultAnswer, Status: 503, Count: -1}); err != nil {
		t.Fatal(err)
	}
	if !w.linked(id) {
		t.Fatal("the link was not added")
	}
	if err := w.athleteLeaves(w.athletes, w.owner, "receipt"); err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	w.mustBeConfirmed("receipt", "") // and not by Fitbit
	revoked := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
	if len(revoked) != 1 || !slices.Equal(revoked[0].LinkedProviders, []string{"fitbit"}) {
		t.Errorf("published %+v", revoked)
	}
	w.fitbit.ClearFaults()
	w.reconcileAll()
	w.mustBeErased(id, "afterwards")
	w.mustBeConfirmed("receipt", "", "fitbit")
}

// cutOff kills a link when it reaches a point for the nth time.
func (w *world) cutOff(point string, nth int, athleteID, id int64) {
	w.t.Helper()
	defer func() {
		if p := recover(); p != (killed{}) {
			w.t.Fatalf("not killed: %v", p)
		}
	}()
	_ = w.finishLink(func(p string) {
		if p == point {
			if nth--; nth < 0 {
				panic(killed{})
			}
		}
	}, athleteID, id)
}

// TestARefreshDoesNotLoseALaterLink: the pair of another athlete's consent is
// adopted, since Fitbit refuses the one before, and the account still moves to
// that athlete.
func TestARefreshDoesNotLoseALaterLink(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id, second := w.athlete(0), w.second()
	generation := w.connected(id)
	w.age(7 * time.Hour)
	w.cutOff("after writing the grant", 0, second, id)
	w.mustAnswer(id, generation)
	w.reconcileAll()
	if g := w.grant(id); g.Owner.AthleteID != second || w.linked(id) {
		t.Errorf("grant %+v", g)
	}
	w.mustAnswer(id, w.grant(id).Generation)
}

// TestAClaimIsCheckedWithoutTheProfile: a person may not let us read it, and a
// refusal for that reason shows that the token is valid.
func TestAClaimIsCheckedWithoutTheProfile(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	if _, err := w.connect.Finish(t.Context(), w.consent(id, "&accept_scope=activity")); err != nil {
		t.Fatal(err)
	}
	if err := w.reconciler.HandleDeauthorization(t.Context(), cause(), w.account(id)); err != nil {
		t.Fatal(err)
	}
	if g := w.grant(id); g.State != credentials.Active || g.HasPendingTasks() {
		t.Errorf("grant %+v", g)
	}
}

func TestToday(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	if _, err := w.links.Today(t.Context(), w.asOwner()); !errors.Is(err, credentials.ErrNotLinked) {
		t.Errorf("not linked: %v", err)
	}
	w.connected(id)
	// It is the next day in Warsaw already.
	w.clock.Advance(13*time.Hour + 30*time.Minute)
	day, err := w.fitbit.Day(w.account(id).ID, "2026-11-23")
	if err != nil {
		t.Fatal(err)
	}
	want := credentials.Today{
		DisplayName: "Ada K.", Date: "2026-11-23", Steps: day.Summary.Steps,
		ActiveMinutes: day.Summary.FairlyActiveMinutes + day.Summary.VeryActiveMinutes,
	}
	got, err := w.links.Today(t.Context(), w.asOwner())
	if err != nil || got != want {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
	for name, c := range map[string]struct {
		fault fitbit.Fault
		want  error
	}{
		"away":            {fitbit.Fault{Endpoint: "api", Kind: fitbit.FaultReset}, credentials.ErrProviderUnavailable},
		"over the limit":  {fitbit.Fault{Endpoint: fitbit.EndpointActivities, Kind: fitbit.FaultAnswer, Status: 429}, credentials.ErrProviderUnavailable},
		"a page for JSON": {fitbit.Fault{Endpoint: fitbit.EndpointProfile, Kind: fitbit.FaultAnswer, Status: 200, Body: "<html>"}, credentials.ErrProviderUnavailable},
		"an empty answer": {fitbit.Fault{Endpoint: fitbit.EndpointActivities, Kind: fitbit.FaultAnswer, Status: 200, Body: "{}"}, credentials.ErrProviderUnavailable},
	} {
		c.fault.Count = -1
		if err := w.fitbit.Inject(c.fault); err != nil {
			t.Fatal(err)
		}
		if _, err := w.links.Today(t.Context(), w.asOwner()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		w.fitbit.ClearFaults()
	}
	// Withdrawn at Fitbit, which does not report it.
	if err := w.deauthorize(id); err != nil {
		t.Fatal(err)
	}
	if _, err := w.links.Today(t.Context(), w.asOwner()); !errors.Is(err, credentials.ErrDegraded) {
		t.Errorf("withdrawn: %v", err)
	}
	// Only the owner sees the day.
	if _, err := w.links.Today(t.Context(), credentials.Authorization{AthleteID: w.second(), Generation: w.athleteGrant(w.second()).Generation}); !errors.Is(err, credentials.ErrNotLinked) {
		t.Errorf("another athlete: %v", err)
	}
	for name, by := range map[string]credentials.Authorization{
		"an unknown athlete":   {AthleteID: 1, Generation: 1},
		"a session of earlier": {AthleteID: w.owner, Generation: 1},
	} {
		if _, err := w.links.Today(t.Context(), by); !errors.Is(err, credentials.ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.mustBeSilent()
}

func TestTodayWithoutTheProfile(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	if _, err := w.connect.Finish(t.Context(), w.consent(id, "&accept_scope=activity")); err != nil {
		t.Fatal(err)
	}
	got, err := w.links.Today(t.Context(), w.asOwner())
	if err != nil || got.DisplayName != "" || got.Date != "2026-11-22" || got.Steps == 0 {
		t.Errorf("%+v (%v)", got, err)
	}
}

func TestOnlyListedPathsOfFitbitAreCalled(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	id := w.athlete(0)
	generation := w.connected(id)
	for path, allowed := range map[string]bool{
		"/1/user/-/profile.json":                             true,
		"/1/user/-/activities/date/2026-11-22.json":          true,
		"/1/user/-/activities/date/2026-11-22.json/../x":     false,
		"/1/user/-/activities/date/today.json":               false,
		"/1/user/26FWFL/profile.json":                        false,
		"/1/user/-/sleep/date/2026-11-22.json":               false,
		"/1/user/-/profile.json?x=1":                         false,
		"/athlete":                                           false,
		"":                                                   false,
		"/1/user/-/activities/date/2026-11-22.json\n/1/user": false,
	} {
		res, err := w.requester.Call(t.Context(), credentials.Call{Account: w.account(id), Generation: generation, Path: path})
		if allowed && (err != nil || res.Status != 200) || !allowed && !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %d, %v", path, res.Status, err)
		}
	}
	if _, err := w.requester.Call(t.Context(), credentials.Call{Account: credentials.Athlete(w.owner), Generation: generation, Path: "/1/user/-/profile.json"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an account of Strava: %v", err)
	}
}

// linkActions are what may happen at the same time to one account that two athletes
// link.
var linkActions = map[string]func(w *world, at interceptor) error{
	"linking":            func(w *world, at interceptor) error { return w.finishLink(at, w.owner, w.athlete(0)) },
	"linking by another": func(w *world, at interceptor) error { return w.finishLink(at, w.second(), w.athlete(0)) },
	"linking another":    func(w *world, at interceptor) error { return w.finishLink(at, w.owner, w.athlete(1)) },
	"unlinking": func(w *world, at interceptor) error {
		return w.leave(w.t.Context(), at.watchReconciler(w.reconciler), w.athlete(0), 0)
	},
	"a refresh": func(w *world, at interceptor) error {
		if g, err := w.store.Grant(w.t.Context(), w.account(w.athlete(0))); err == nil && g.Generation > 0 {
			w.by(at.watch(w.process(w.patient)), w.athlete(0), g.Generation)
		}
		return nil
	},
	"leaving": func(w *world, at interceptor) error {
		return w.athleteLeaves(at.watchReconciler(w.athletes), w.owner, "receipt")
	},
	"reconciliation": func(w *world, at interceptor) error { return at.watchReconciler(w.reconciler).Reconcile(w.t.Context()) },
}

func (w *world) finishLink(at interceptor, athleteID, id int64) error {
	_, err := at.watchConnect(*w.connect).Finish(w.t.Context(), w.linking(athleteID, id, ""))
	if fault.Is(err, fault.Conflict) || errors.Is(err, credentials.ErrRevoked) || errors.Is(err, credentials.ErrOtherAccountLinked) {
		return nil // It ended, or an athlete linked an account, before it was completed.
	}
	return err
}

// mustBeConsistent completes all tasks, and checks that grants, links and Fitbit agree
// on who has linked which account, and that each linked account can be called.
func (w *world) mustBeConsistent(when string) {
	w.t.Helper()
	for range 4 {
		w.reconcileAll()
	}
	w.clock.Advance(7 * 24 * time.Hour) // Claims that could not be checked end with the data.
	w.reconcileAll()
	athletes := []int64{w.owner, w.strava.Athletes()[1].ID}
	for i := range w.fitbit.Users() {
		id := w.athlete(i)
		g, err := w.store.Grant(w.t.Context(), w.account(id))
		if fault.Is(err, fault.NotFound) {
			g = credentials.Grant{}
		} else if err != nil {
			w.t.Fatal(err)
		}
		if g.Authorized() != w.atSite(id) || g.HasPendingTasks() || !g.Authorized() && len(w.held(id)) > 0 {
			w.t.Errorf("%s: connected at Fitbit %v, tokens held %v, grant %+v", when, w.atSite(id), w.held(id), g)
		}
		for _, athleteID := range athletes {
			owner, err := w.store.Grant(w.t.Context(), credentials.Athlete(athleteID))
			if err != nil && !fault.Is(err, fault.NotFound) {
				w.t.Fatal(err)
			}
			linked := slices.ContainsFunc(owner.Links, func(l credentials.Link) bool { return l.Account == w.account(id) })
			if owns := g.Authorized() && g.Owner.AthleteID == athleteID; linked != owns || owner.HasPendingTasks() {
				w.t.Errorf("%s: athlete %d links it %v, owns it %v: %+v, %+v", when, athleteID, linked, owns, g, owner)
			}
		}
		if g.Authorized() {
			if res := w.by(w.process(w.patient), id, g.Generation); res.Outcome != credentialsv1.OutcomeAnswered {
				w.t.Errorf("%s: %s; %+v", when, res.Outcome, g)
			}
		}
	}
	if g := w.athleteGrant(w.owner); g.State == credentials.Erased {
		confirmed := w.confirmed("receipt")
		published := []string{""}
		for _, f := range eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus) {
			if f.Receipt == "receipt" { // A request that comes again is published again, without the links.
				published = append(published, f.LinkedProviders...)
			}
		}
		slices.Sort(published)
		if !slices.Equal(confirmed, slices.Compact(published)) {
			w.t.Errorf("%s: published %q, confirmed %q", when, published, confirmed)
		}
	}
}

// TestLinkCrossings runs each action at every step of each other one, with the
// account linked before or not.
func TestLinkCrossings(t *testing.T) {
	for outer := range linkActions {
		for inner := range linkActions {
			t.Run(inner+" during "+outer, func(t *testing.T) {
				for _, before := range []string{"not linked", "linked", "linked by another"} {
					for step := 0; ; step++ {
						w := newLinkWorld(t, before)
						n, point := 0, ""
						err := linkActions[outer](w, func(p string) {
							if n++; n != step+1 {
								return
							}
							point = p
							if err := linkActions[inner](w, func(string) {}); err != nil {
								t.Errorf("%s, %s: the inner one: %v", before, p, err)
							}
						})
						if err != nil {
							t.Errorf("%s, %s: the outer one: %v", before, point, err)
						}
						if point == "" {
							break
						}
						w.mustBeConsistent(before + ", " + point)
						if t.Failed() {
							return
						}
					}
				}
			})
		}
	}
}

// newLinkWorld makes a world in which an account is linked, or not.
func newLinkWorld(t *testing.T, before string) *world {
	t.Helper()
	w := newWorld(t, strava.Settings{Rotation: onFitbit})
	var err error
	switch before {
	case "linked":
		_, err = w.connect.Finish(t.Context(), w.linking(w.owner, w.athlete(0), ""))
	case "linked by another":
		_, err = w.connect.Finish(t.Context(), w.linking(w.second(), w.athlete(0), ""))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.second()
	w.clock.Advance(time.Hour)
	return w
}

// TestLinksKilledAnywhere kills the process at every step of each action. The
// queue delivers an event again.
func TestLinksKilledAnywhere(t *testing.T) {
	for name, action := range linkActions {
		t.Run(name, func(t *testing.T) {
			for _, before := range []string{"not linked", "linked", "linked by another"} {
				for step := 0; ; step++ {
					w := newLinkWorld(t, before)
					point, previous, n := "", "", 0
					func() {
						defer func() {
							if p := recover(); p != nil && p != (killed{}) {
								panic(p)
							}
						}()
						if err := action(w, func(p string) {
							if n++; n == step+1 {
								point = p
								panic(killed{})
							}
							previous = p
						}); err != nil {
							t.Errorf("%s, %s: %v", before, point, err)
						}
					}()
					if point == "" {
						break
					}
					if slices.Contains([]string{point, previous}, "after exchanging the code") {
						continue // The pair is in this process's memory alone, as in any connect.
					}
					w.clock.Advance(3 * time.Minute)
					if name == "leaving" {
						if err := w.athleteLeaves(w.athletes, w.owner, "receipt"); err != nil {
							t.Fatal(err)
						}
					}
					w.mustBeConsistent(before + ", killed " + point)
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}
