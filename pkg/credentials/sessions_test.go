package credentials_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

const day = 24 * time.Hour

// callerFixture has what identifies callers, over memory. Athlete 7 is connected.
type callerFixture struct {
	t        *testing.T
	clock    *standin.ManualClock
	ports    credentials.Ports
	grants   *credentialstest.Store
	store    *credentialstest.CredentialStore
	sessions *credentials.Sessions
	keys     *credentials.Keys
	callers  *credentials.Authenticator
	log      bytes.Buffer
}

// ann is athlete 7 under the authorization in force at first.
var ann = credentials.Authorization{AthleteID: 7, Generation: 100}

func newCallerFixture(t *testing.T) *callerFixture {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 1, 0, 0, time.UTC))
	ports, memory := credentialstest.NewPorts(clock.Now)
	g := &callerFixture{t: t, clock: clock, ports: ports, grants: memory.Store, store: memory.Credentials}
	g.ports.Log = slog.New(slog.NewTextHandler(&g.log, nil))
	g.sessions, g.keys = ports.Sessions(), ports.Keys()
	g.callers = g.process()
	g.grant(func(one *credentials.Grant) { one.State, one.Generation, one.Since = credentials.Active, 100, 100 })
	return g
}

// process returns an authenticator with no callers in memory.
func (g *callerFixture) process() *credentials.Authenticator {
	return g.ports.Authenticator()
}

// grant changes the grant of athlete 7.
func (g *callerFixture) grant(change func(*credentials.Grant)) {
	g.t.Helper()
	if _, err := g.grants.Update(g.t.Context(), credentials.Athlete(7), func(one *credentials.Grant) (bool, error) {
		change(one)
		return true, nil
	}); err != nil {
		g.t.Fatal(err)
	}
}

func (g *callerFixture) open(of credentials.Authorization) secret.String {
	g.t.Helper()
	token, err := g.sessions.Open(g.t.Context(), of)
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

func (g *callerFixture) key(expiresAt time.Time) secret.String {
	g.t.Helper()
	_, token, err := g.keys.Create(g.t.Context(), ann, "watch", expiresAt)
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

// stored returns the stored credential of a secret of athlete 7.
func (g *callerFixture) stored(token secret.String) credentials.Credential {
	g.t.Helper()
	c, _, err := g.store.Credential(g.t.Context(), 7, token.SHA256())
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// session returns the caller of a session, by an authenticator with none in memory.
func (g *callerFixture) session(token secret.String) (credentials.Caller, error) {
	return g.process().Authenticate(g.t.Context(), credentials.SessionCredential, token, false)
}

func (g *callerFixture) byKey(token secret.String) (credentials.Caller, error) {
	return g.process().Authenticate(g.t.Context(), credentials.KeyCredential, token, false)
}

func TestASessionBelongsToOneAthlete(t *testing.T) {
	g := newCallerFixture(t)
	token := g.open(ann)
	caller, err := g.session(token)
	if want := (credentials.Caller{Authorization: ann, Kind: credentials.SessionCredential}); err != nil || caller != want {
		t.Errorf("%+v, %v", caller, err)
	}
	want := credentials.Credential{
		Authorization: ann, Hash: token.SHA256(), Kind: credentials.SessionCredential, CreatedAt: g.clock.Now(),
		UsedOn: g.clock.Now().Truncate(day), ExpiresAt: g.clock.Now().Truncate(day).Add(8 * day),
	}
	if d := cmp.Diff(want, g.stored(token)); d != "" {
		t.Error(d)
	}
	if other := g.open(ann); other.Equal(token) || len(token.Reveal()) < 43 {
		t.Error("the secret can be guessed")
	}
}

func TestUnknownSecretsAreRefused(t *testing.T) {
	g := newCallerFixture(t)
	session, key := g.open(ann), g.key(time.Time{})
	text := session.Reveal()
	for name, bad := range map[string]string{
		"nothing": "", "garbage": "x", "an id": "7", "an id and nothing": "7_", "another's id": "8" + text[1:], "an id that is none": "x" + text[1:],
		"a negative id": "-" + text, "the hash": session.SHA256(), "the hash with an id": "7_" + session.SHA256(), "half": text[:len(text)/2],
		"more": text + "x", "in capitals": strings.ToUpper(text), "a key": key.Reveal(), "as a key": "pck_" + text, "a key as a session": strings.TrimPrefix(key.Reveal(), "pck_"),
	} {
		if caller, err := g.session(secret.New(bad)); !errors.Is(err, credentials.ErrUnknownCredential) || caller != (credentials.Caller{}) {
			t.Errorf("%s: %+v, %v", name, caller, err)
		}
	}
	for name, bad := range map[string]string{"a session": text, "a session as a key": "pck_" + text, "without the prefix": strings.TrimPrefix(key.Reveal(), "pck_")} {
		if caller, err := g.byKey(secret.New(bad)); !errors.Is(err, credentials.ErrUnknownCredential) || caller != (credentials.Caller{}) {
			t.Errorf("%s for a key: %+v, %v", name, caller, err)
		}
	}
}

func TestASessionInUseRenewsItselfForThirtyDays(t *testing.T) {
	g := newCallerFixture(t)
	token := g.open(ann)
	for range 30 {
		if _, err := g.session(token); err != nil {
			t.Fatalf("%s: %v", g.clock.Now(), err)
		}
		if used := g.stored(token).UsedOn; !used.Equal(g.clock.Now().Truncate(day)) {
			t.Fatalf("%s: used on %s", g.clock.Now(), used)
		}
		g.clock.Advance(day - time.Second)
		if _, err := g.session(token); err != nil {
			t.Fatalf("%s: %v", g.clock.Now(), err)
		}
		g.clock.Advance(time.Second)
	}
	if _, err := g.session(token); !errors.Is(err, credentials.ErrExpiredCredential) {
		t.Errorf("a session that was used every day, after 30 days: %v", err)
	}
}

func TestASessionThatIsNotUsedEnds(t *testing.T) {
	for wait, want := range map[time.Duration]error{
		7 * day: nil, 8*day - 10*time.Hour - time.Minute - time.Second: nil, 8*day - 10*time.Hour - time.Minute: credentials.ErrExpiredCredential, 20 * day: credentials.ErrExpiredCredential,
	} {
		g := newCallerFixture(t)
		token := g.open(ann)
		g.clock.Advance(wait)
		if _, err := g.session(token); !errors.Is(err, want) {
			t.Errorf("unused for %s: %v", wait, err)
		}
	}
}

func TestUseIsRecordedOnceADay(t *testing.T) {
	g := newCallerFixture(t)
	token, key := g.open(ann), g.key(time.Time{})
	writes := &updates{CredentialStore: g.store}
	for range 3 { // days
		for range 5 {
			a := g.process()
			a.Store = writes
			for kind, token := range map[credentials.CredentialKind]secret.String{credentials.SessionCredential: token, credentials.KeyCredential: key} {
				if _, err := a.Authenticate(t.Context(), kind, token, true); err != nil {
					t.Fatal(err)
				}
			}
			g.clock.Advance(time.Hour)
		}
		g.clock.Advance(19 * time.Hour)
	}
	if writes.n != 2+3 { // The session was opened on the first day.
		t.Errorf("%d writes", writes.n)
	}
	if c := g.stored(key); !c.ExpiresAt.IsZero() || !c.UsedOn.Equal(g.clock.Now().Add(-day).Truncate(day)) {
		t.Errorf("the key: %+v", c)
	}
}

// updates counts updates, which fail if err is set.
type updates struct {
	credentials.CredentialStore
	n   int
	err error
}

func TestAFailedRecordOfUseIsHarmless(t *testing.T) {
	g := newCallerFixture(t)
	token := g.open(ann)
	g.clock.Advance(day)
	a := g.process()
	broken := &updates{CredentialStore: g.store, err: fault.New(fault.Transient, "throttled")}
	a.Store = broken
	if _, err := a.Authenticate(t.Context(), credentials.SessionCredential, token, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(g.log.String(), "throttled") || strings.Contains(g.log.String(), token.Reveal()) {
		t.Errorf("log: %s", g.log.String())
	}
	broken.err = nil
	if _, err := a.Authenticate(t.Context(), credentials.SessionCredential, token, true); err != nil {
		t.Fatal(err)
	}
	if used := g.stored(token).UsedOn; !used.Equal(g.clock.Now().Truncate(day)) {
		t.Errorf("used on %s", used)
	}
}

func TestACachedCallerIsValidForHalfAMinute(t *testing.T) {
	g := newCallerFixture(t)
	token := g.open(ann)
	ask := func(fresh bool) error {
		_, err := g.callers.Authenticate(t.Context(), credentials.SessionCredential, token, fresh)
		return err
	}
	if err := ask(false); err != nil {
		t.Fatal(err)
	}
	down := fault.New(fault.Transient, "down")
	g.store.Fail(down)
	g.clock.Advance(30*time.Second - time.Millisecond)
	if err := ask(false); err != nil {
		t.Errorf("within 30 s: %v", err)
	}
	// It fails closed, with a transient fault.
	if err := ask(true); fault.Of(err) != fault.Transient {
		t.Errorf("a change within 30 s: %v", err)
	}
	g.clock.Advance(time.Millisecond)
	if err := ask(false); fault.Of(err) != fault.Transient {
		t.Errorf("after 30 s: %v", err)
	}
	g.store.Fail(nil)
	if err := ask(false); err != nil {
		t.Fatal(err)
	}
	if err := g.sessions.End(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := ask(true); !errors.Is(err, credentials.ErrUnknownCredential) {
		t.Errorf("a change after the session was ended: %v", err)
	}
	g.clock.Advance(30 * time.Second)
	if err := ask(false); !errors.Is(err, credentials.ErrUnknownCredential) {
		t.Errorf("30 s after the session was ended: %v", err)
	}
}

func TestACachedCallerIsNotValidBeyondItsExpiry(t *testing.T) {
	g := newCallerFixture(t)
	key := g.key(g.clock.Now().Add(10 * time.Second))
	for wait, want := range []error{nil, credentials.ErrExpiredCredential} {
		g.clock.Advance(time.Duration(wait) * 10 * time.Second)
		if _, err := g.callers.Authenticate(t.Context(), credentials.KeyCredential, key, false); !errors.Is(err, want) {
			t.Errorf("after %d0 s: %v", wait, err)
		}
	}
}

// TestAHangingStoreIsAnOutage: the authorizer answers in time while the store
// hangs, and a session is valid although its use cannot be recorded.
func TestAHangingStoreIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newCallerFixture(t)
		token := g.open(ann)
		g.clock.Advance(day)
		a := g.process()
		for _, tc := range []struct {
			at   string
			want bool
			took time.Duration
		}{{"Credential", false, 2 * time.Second}, {"Update", true, time.Second}} {
			a.Store = &hanging{CredentialStore: g.store, at: tc.at}
			began := time.Now()
			_, err := a.Authenticate(t.Context(), credentials.SessionCredential, token, true)
			if (err == nil) != tc.want || (err != nil && fault.Of(err) != fault.Transient) {
				t.Errorf("%s hangs: %v", tc.at, err)
			}
			if took := time.Since(began); took != tc.took { // of the bubble's own clock
				t.Errorf("%s hangs: %s", tc.at, took)
			}
		}
	})
}

func TestAKeyIsNotCachedAsASession(t *testing.T) {
	g := newCallerFixture(t)
	key := g.key(time.Time{})
	if _, err := g.callers.Authenticate(t.Context(), credentials.KeyCredential, key, false); err != nil {
		t.Fatal(err)
	}
	if _, err := g.callers.Authenticate(t.Context(), credentials.SessionCredential, key, false); !errors.Is(err, credentials.ErrUnknownCredential) {
		t.Error(err)
	}
}

// TestWhichSessionsAreValid: signing in elsewhere ends no session, the end of the
// authorization ends all.
func TestWhichSessionsAreValid(t *testing.T) {
	const active, degraded, revoked, erased = credentials.Active, credentials.Degraded, credentials.Revoked, credentials.Erased
	for name, tc := range map[string]struct {
		grant credentials.Grant
		want  bool
	}{
		"as it was":                         {credentials.Grant{State: active, Generation: 100, Since: 100}, true},
		"degraded":                          {credentials.Grant{State: degraded, Generation: 100, Since: 100}, true},
		"after another sign-in":             {credentials.Grant{State: active, Generation: 200, Since: 100}, true},
		"after many":                        {credentials.Grant{State: degraded, Generation: 900, Since: 50}, true},
		"revoked":                           {credentials.Grant{State: revoked, Generation: 100, Since: 100}, false},
		"erased":                            {credentials.Grant{State: erased, Generation: 100, Since: 100}, false},
		"ended and connected again":         {credentials.Grant{State: active, Generation: 200, Since: 200}, false},
		"ended, connected again, twice":     {credentials.Grant{State: active, Generation: 300, Since: 200}, false},
		"a grant of before the session":     {credentials.Grant{State: active, Generation: 99, Since: 99}, false},
		"nothing known of the grant at all": {credentials.Grant{}, false},
	} {
		g := newCallerFixture(t)
		session, key := g.open(ann), g.key(time.Time{})
		g.grant(func(one *credentials.Grant) { *one = tc.grant })
		caller, err := g.session(session)
		ended, isEnded := errors.AsType[*credentials.RevokedError](err)
		if (err == nil) != tc.want || isEnded == tc.want || isEnded && ended.Receipt != "" {
			t.Errorf("%s: %v", name, err)
		}
		if tc.want && caller.Generation != tc.grant.Generation {
			t.Errorf("%s: the caller has the generation %d", name, caller.Generation)
		}
		if _, err := g.byKey(key); (err == nil) != tc.want {
			t.Errorf("%s: the key: %v", name, err)
		}
	}
}

// TestSinceOfTheWholeProtocol has real authorizations follow each other.
func TestSinceOfTheWholeProtocol(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	authenticate := func(token secret.String) error {
		_, err := w.ports.Authenticator().Authenticate(t.Context(), credentials.SessionCredential, token, true)
		return err
	}
	signIn := func() secret.String {
		t.Helper()
		session, err := w.connect.Finish(t.Context(), w.consent(id, ""))
		if err != nil {
			t.Fatal(err)
		}
		token, err := w.sessions.Open(t.Context(), session)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	laptop := signIn()
	w.clock.Advance(time.Hour)
	phone := signIn()
	keys := w.ports.Keys()
	if _, _, err := keys.Create(t.Context(), credentials.Authorization{AthleteID: id, Generation: w.grant(id).Generation}, "watch", time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []secret.String{laptop, phone} {
		if err := authenticate(token); err != nil {
			t.Errorf("after a second sign-in: %v", err)
		}
	}
	receipt, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	ended := func(when string) {
		t.Helper()
		for _, token := range []secret.String{laptop, phone} {
			if got, is := errors.AsType[*credentials.RevokedError](authenticate(token)); !is || got.Receipt != receipt {
				t.Errorf("%s: %v, receipt %q", when, is, got.Receipt)
			}
		}
	}
	ended("right after the end")
	w.reconcileAll()
	ended("when everything is erased")
	all, err := w.credentials.Credentials(t.Context(), id)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d, %v", len(all), err)
	}
	for _, c := range all {
		want := credentials.Credential{Authorization: c.Authorization, Hash: c.Hash, Kind: c.Kind, EndedAt: w.clock.Now(), Receipt: receipt}
		if d := cmp.Diff(want, c); d != "" || c.RetainedUntil() != w.clock.Now().Add(8*day) {
			t.Errorf("more is left than a tombstone: %s", d)
		}
	}
	w.clock.Advance(time.Hour)
	again := signIn()
	ended("after a new authorization")
	if err := authenticate(again); err != nil {
		t.Errorf("the new session: %v", err)
	}
}

// TestAnEarlierEndLeavesLaterSessions: an erasure that is completed late, when the
// athlete has connected again, ends only its own sessions.
func TestAnEarlierEndLeavesLaterSessions(t *testing.T) {
	g := newCallerFixture(t)
	before, key := g.open(ann), g.key(time.Time{})
	g.grant(func(one *credentials.Grant) { one.Generation, one.Since = 200, 200 })
	after := g.open(credentials.Authorization{AthleteID: 7, Generation: 200})
	for range 2 {
		if err := g.sessions.EndAll(t.Context(), 7, 100, "receipt"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := g.session(after); err != nil {
		t.Errorf("the session of the new authorization: %v", err)
	}
	for _, token := range []secret.String{before, key} {
		if c := g.stored(token); c.Receipt != "receipt" || c.EndedAt.IsZero() {
			t.Errorf("%+v", c)
		}
	}
	// Another end leaves the first receipt.
	if err := g.sessions.EndAll(t.Context(), 7, 200, "later"); err != nil {
		t.Fatal(err)
	}
	if c := g.stored(before); c.Receipt != "receipt" {
		t.Errorf("%+v", c)
	}
}

// TestNoReceiptBeforeTheSessionsAreGone: while they cannot be ended, the erasure
// is not confirmed.
func TestNoReceiptBeforeTheSessionsAreGone(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	token, err := w.sessions.Open(t.Context(), credentials.Authorization{AthleteID: id, Generation: generation})
	if err != nil {
		t.Fatal(err)
	}
	w.credentials.Fail(fault.New(fault.Transient, "down"))
	receipt, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	if g := w.grant(id); g.State != credentials.Revoked || !g.HasPendingTasks() {
		t.Errorf("the erasure is confirmed: %+v", g)
	}
	if w.strava.Athletes()[0].Connected {
		t.Error("Strava has to wait for it")
	}
	w.credentials.Fail(nil)
	w.reconcileAll()
	w.mustBeErased(id, "once the store works")
	if c, _, err := w.credentials.Credential(t.Context(), id, token.SHA256()); err != nil || c.Receipt != receipt {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestSessionsEndThoughStravaIsDown, and their tombstones expire.
func TestSessionsEndThoughStravaIsDown(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	keys := w.ports.Keys()
	_, token, err := keys.Create(t.Context(), credentials.Authorization{AthleteID: id, Generation: generation}, "watch", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.strava.Inject(strava.Fault{Endpoint: "revoke", Kind: strava.Fault503, Count: 1000}); err != nil {
		t.Fatal(err)
	}
	receipt, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.reconcileAll()
	if g := w.grant(id); g.State != credentials.Revoked {
		t.Fatalf("%+v", g)
	}
	if c, _, err := w.credentials.Credential(t.Context(), id, token.SHA256()); err != nil || c.Receipt != receipt || c.Name != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestAnEndCrossesAnOpening: whichever comes first, no session or key of an ended
// authorization is valid, and none keeps its name or lasts more than an hour.
func TestAnEndCrossesAnOpening(t *testing.T) {
	for name, end := range map[string]func(*callerFixture) error{
		"the grant ended": func(*callerFixture) error { return nil },
		"and all was ended": func(g *callerFixture) error {
			return g.sessions.EndAll(g.t.Context(), 7, 100, "receipt")
		},
	} {
		for _, at := range []string{"Put", "Credential", "Update"} {
			g := newCallerFixture(t)
			meet := &meeting{CredentialStore: g.store, at: at, then: func() {
				g.grant(func(one *credentials.Grant) {
					one.State = credentials.Revoked
					one.Revocations = []credentials.PendingRevocation{{Receipt: "receipt", Generation: 100}}
				})
				if err := end(g); err != nil {
					t.Error(err)
				}
			}}
			g.keys.Store = meet
			_, key, err := g.keys.Create(t.Context(), ann, "watch", time.Time{})
			if at != "Update" && !errors.Is(err, credentials.ErrRevoked) {
				t.Errorf("%s before %s: %v", name, at, err)
			}
			if !meet.met {
				t.Fatalf("%s was not called", at)
			}
			if err == nil {
				if _, err := g.byKey(key); err == nil {
					t.Errorf("%s before %s: the key is good", name, at)
				}
			}
			// EndAll, which is repeated until it succeeds, finds those that are left.
			if err := g.sessions.EndAll(t.Context(), 7, 100, "receipt"); err != nil {
				t.Fatal(err)
			}
			all, err := g.store.Credentials(t.Context(), 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if c.Name != "" || c.EndedAt.IsZero() {
					t.Errorf("%s before %s leaves %+v", name, at, c)
				}
			}
		}
	}
}

func TestAKeyWhoseCreationIsCutOffExpires(t *testing.T) {
	g := newCallerFixture(t)
	g.keys.Store = &meeting{CredentialStore: g.store, at: "Credential", then: func() { g.store.Fail(errors.New("killed")) }}
	if _, _, err := g.keys.Create(t.Context(), ann, "watch", time.Time{}); err == nil {
		t.Fatal("the key is made")
	}
	g.store.Fail(nil)
	all, err := g.store.Credentials(t.Context(), 7)
	if err != nil || len(all) != 1 || !all[0].ExpiresAt.Equal(g.clock.Now().Add(time.Hour)) {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestAFailedCreationLeavesNothing: the list has no key that was never returned to the
// athlete.
func TestAFailedCreationLeavesNothing(t *testing.T) {
	g := newCallerFixture(t)
	g.keys.Store = &updates{CredentialStore: g.store, err: fault.New(fault.Transient, "throttled")}
	if _, _, err := g.keys.Create(t.Context(), ann, "watch", time.Time{}); fault.Of(err) != fault.Transient {
		t.Error(err)
	}
	if all, err := g.store.Credentials(t.Context(), 7); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestLoggingOut(t *testing.T) {
	g := newCallerFixture(t)
	laptop, phone, key := g.open(ann), g.open(ann), g.key(time.Time{})
	g.grant(func(one *credentials.Grant) { one.Generation = 200 })
	tablet := g.open(credentials.Authorization{AthleteID: 7, Generation: 200})
	for range 2 {
		if err := g.sessions.End(t.Context(), laptop); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []secret.String{key, secret.New(""), secret.New("7_x"), secret.New("8" + phone.Reveal()[1:])} {
		if err := g.sessions.End(t.Context(), other); err != nil {
			t.Error(err)
		}
	}
	good := func(when string, want map[string]bool) {
		t.Helper()
		for name, token := range map[string]secret.String{"laptop": laptop, "phone": phone, "tablet": tablet} {
			if _, err := g.session(token); (err == nil) != want[name] || (err != nil && !errors.Is(err, credentials.ErrUnknownCredential)) {
				t.Errorf("%s: %s: %v", when, name, err)
			}
		}
		if _, err := g.byKey(key); err != nil {
			t.Errorf("%s: the key: %v", when, err)
		}
	}
	good("logged out of the laptop", map[string]bool{"phone": true, "tablet": true})
	if err := g.sessions.EndEverywhere(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	good("logged out everywhere", nil)
}

func TestEndStageEndsEverySession(t *testing.T) {
	g := newCallerFixture(t)
	const athletes = 2300
	var some secret.String
	for id := range int64(athletes) {
		if _, err := g.grants.Update(t.Context(), credentials.Athlete(id+1), func(one *credentials.Grant) (bool, error) {
			one.State, one.Generation = credentials.Active, 100
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		some = g.open(credentials.Authorization{AthleteID: id + 1, Generation: 100})
	}
	key := g.key(time.Time{})
	ended, cursor := 0, ""
	for {
		n, next, err := g.sessions.EndStage(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		ended += n
		if cursor = next; cursor == "" {
			break
		}
	}
	if ended != athletes {
		t.Errorf("%d ended", ended)
	}
	if _, err := g.session(some); !errors.Is(err, credentials.ErrUnknownCredential) {
		t.Error(err)
	}
	if _, err := g.byKey(key); err != nil {
		t.Errorf("the key: %v", err)
	}
}

func TestKeys(t *testing.T) {
	g := newCallerFixture(t)
	made, token, err := g.keys.Create(t.Context(), ann, "  Watch “2”\u200d ", time.Time{})
	if err != nil || made.Name != "Watch “2”\u200d" || !strings.HasPrefix(token.Reveal(), "pck_7_") {
		t.Fatalf("%+v, %v", made, err)
	}
	caller, err := g.byKey(token)
	if want := (credentials.Caller{Authorization: ann, Kind: credentials.KeyCredential}); err != nil || caller != want {
		t.Errorf("%+v, %v", caller, err)
	}
	g.clock.Advance(time.Minute)
	end := g.clock.Now().Add(2 * time.Hour)
	second, dated, err := g.keys.Create(t.Context(), ann, strings.Repeat("ü", 60), end)
	if err != nil {
		t.Fatal(err)
	}
	g.open(ann)
	list := func(want ...string) {
		t.Helper()
		keys, err := g.keys.List(t.Context(), 7)
		names := []string{}
		for _, k := range keys {
			names = append(names, k.ID())
		}
		if d := cmp.Diff(append([]string{}, want...), names); err != nil || d != "" {
			t.Error(err, d)
		}
	}
	list(made.ID(), second.ID())
	g.clock.Advance(2*time.Hour - time.Second)
	if _, err := g.byKey(dated); err != nil {
		t.Error(err)
	}
	g.clock.Advance(time.Second)
	if _, err := g.byKey(dated); !errors.Is(err, credentials.ErrExpiredCredential) {
		t.Error(err)
	}
	list(made.ID(), second.ID()) // An expired key is shown for a while, as the store drops it late.
	if at := g.stored(dated).RetainedUntil(); !at.Equal(end.Add(8 * day)) {
		t.Errorf("dropped at %s", at)
	}
	g.clock.Advance(8*day - time.Second)
	list(made.ID(), second.ID())
	g.clock.Advance(time.Second)
	list(made.ID())
	for _, id := range []string{"", "x", made.ID()[:8], made.Hash, second.ID(), token.Reveal()} {
		if err := g.keys.Revoke(t.Context(), 7, id); !errors.Is(err, credentials.ErrNoKey) {
			t.Errorf("revoking %q: %v", id, err)
		}
	}
	if err := g.keys.Revoke(t.Context(), 8, made.ID()); !errors.Is(err, credentials.ErrNoKey) {
		t.Errorf("another's key: %v", err)
	}
	if err := g.keys.Revoke(t.Context(), 7, made.ID()); err != nil {
		t.Fatal(err)
	}
	if err := g.keys.Revoke(t.Context(), 7, made.ID()); !errors.Is(err, credentials.ErrNoKey) {
		t.Errorf("revoking twice: %v", err)
	}
	_, err = g.byKey(token)
	if ended, is := errors.AsType[*credentials.RevokedError](err); !is || ended.Receipt != "" {
		t.Error(err)
	}
	if c := g.stored(token); c.Name != "" {
		t.Errorf("the tombstone has a name: %+v", c)
	}
	list()
}

func TestKeysAreRefused(t *testing.T) {
	g := newCallerFixture(t)
	for name, c := range map[string]struct {
		name string
		end  time.Time
	}{
		"no name": {name: " \t"}, "a long name": {name: strings.Repeat("ü", 61)}, "no text": {name: "a\xff"}, "a name of two lines": {name: "a\nb"},
		"an end that is over": {name: "a", end: g.clock.Now()}, "an end long ago": {name: "a", end: g.clock.Now().Add(-day)},
	} {
		if _, _, err := g.keys.Create(t.Context(), ann, c.name, c.end); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := g.keys.Create(t.Context(), credentials.Authorization{AthleteID: 7, Generation: 101}, "a", time.Time{}); !errors.Is(err, credentials.ErrRevoked) {
		t.Errorf("by a session that does not stand: %v", err)
	}
	if keys, err := g.keys.List(t.Context(), 7); err != nil || len(keys) != 0 {
		t.Errorf("%+v, %v", keys, err)
	}
}

func TestAnAthleteHasTenKeysAtMost(t *testing.T) {
	g := newCallerFixture(t)
	g.key(g.clock.Now().Add(time.Minute))
	for range 9 {
		g.key(time.Time{})
	}
	if _, _, err := g.keys.Create(t.Context(), ann, "one too many", time.Time{}); !errors.Is(err, credentials.ErrTooManyKeys) {
		t.Error(err)
	}
	g.clock.Advance(time.Minute) // One has expired.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, _, err := g.keys.Create(t.Context(), ann, fmt.Sprint(i), time.Time{})
			if err != nil && !errors.Is(err, credentials.ErrTooManyKeys) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := g.keys.List(t.Context(), 7)
	if err != nil || len(keys) > 11 {
		t.Errorf("%d keys, one of them expired; %v", len(keys), err)
	}
	all, err := g.store.Credentials(t.Context(), 7)
	if err != nil || len(all) != len(keys) {
		t.Errorf("%d are stored, %v", len(all), err)
	}
}

// Update implements [credentials.CredentialStore].
func (s *updates) Update(ctx context.Context, c credentials.Credential) error {
	s.n++
	if s.err != nil {
		return s.err
	}
	return s.CredentialStore.Update(ctx, c)
}

// hanging is a store of which one method does not answer.
type hanging struct {
	credentials.CredentialStore
	at string
}

// Credential implements [credentials.CredentialStore].
func (s *hanging) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	if s.at == "Credential" {
		<-ctx.Done()
		return credentials.Credential{}, credentials.Grant{}, ctx.Err()
	}
	return s.CredentialStore.Credential(ctx, athleteID, hash)
}

// Update implements [credentials.CredentialStore].
func (s *hanging) Update(ctx context.Context, c credentials.Credential) error {
	if s.at == "Update" {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.CredentialStore.Update(ctx, c)
}

// meeting runs a function just before the first call of one method.
type meeting struct {
	credentials.CredentialStore
	at   string
	then func()
	met  bool
}

func (s *meeting) meet(method string) {
	if method == s.at && !s.met {
		s.met = true
		s.then()
	}
}

// Put implements [credentials.CredentialStore].
func (s *meeting) Put(ctx context.Context, c credentials.Credential) error {
	s.meet("Put")
	return s.CredentialStore.Put(ctx, c)
}

// Credential implements [credentials.CredentialStore].
func (s *meeting) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	s.meet("Credential")
	return s.CredentialStore.Credential(ctx, athleteID, hash)
}

// Update implements [credentials.CredentialStore].
func (s *meeting) Update(ctx context.Context, c credentials.Credential) error {
	s.meet("Update")
	return s.CredentialStore.Update(ctx, c)
}
