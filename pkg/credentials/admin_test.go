package credentials_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

// adminFixture is the admin's boundary over memory, the Strava stand-in, and a
// webhook that answers handshakes as it was configured over the bus.
type adminFixture struct {
	*credentials.Admin
	strava *strava.Server
	store  *credentialstest.Store
	vault  *credentialstest.Vault
	bus    *eventtest.Bus
	check  *credentials.SubscriptionCheck
	// deaf makes the webhook not answer.
	silent bool
}

func newAdminFixture(t *testing.T) *adminFixture {
	ports, memory := credentialstest.NewPorts(time.Now)
	o := &adminFixture{store: memory.Store, vault: memory.Vault, bus: memory.Bus}
	webhook := standin.InProcess(http.HandlerFunc(o.webhook))
	o.strava = strava.New(strava.Config{Seed: 1, ClientID: 4711, ClientSecret: "client-secret", Callbacks: webhook})
	t.Cleanup(o.strava.Close)
	atStrava := standin.InProcess(o.strava)
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "strava.test" {
			return webhook.RoundTrip(r)
		}
		return atStrava.RoundTrip(r)
	})}
	slept := 0
	ports.Push = vendor.NewPush(client, "http://strava.test/api/v3/push_subscriptions")
	ports.CallbackURL = "http://paceline.test/webhooks/strava"
	ports.Sleep = func(ctx context.Context, _ time.Duration) error {
		if slept++; slept > 3 {
			return context.DeadlineExceeded
		}
		return ctx.Err()
	}
	o.Admin, o.check = ports.Admin(), ports.SubscriptionCheck()
	return o
}

// webhook answers a handshake as gathering does.
func (o *adminFixture) webhook(w http.ResponseWriter, r *http.Request) {
	published := eventtest.Facts[credentialsv1.WebhookConfigured](o.bus)
	key, q := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], r.URL.Query()
	if o.silent || len(published) == 0 || secret.New(key).SHA256() != published[len(published)-1].CallbackKeySHA256 ||
		secret.New(q.Get("hub.verify_token")).SHA256() != published[len(published)-1].VerifyTokenSHA256 {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"hub.challenge": q.Get("hub.challenge")})
}

func (o *adminFixture) app(t *testing.T) credentials.App {
	t.Helper()
	app, err := o.vault.App(t.Context(), credentials.ProviderStrava)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func set(t *testing.T, o *adminFixture) {
	t.Helper()
	if _, err := o.SetApp(t.Context(), "4711", secret.New("client-secret"), secret.String{}); err != nil {
		t.Fatal(err)
	}
}

func TestSetAppKeepsChosenValuesAndCreatesOthers(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	first := o.app(t)
	if first.ClientID != "4711" || first.ClientSecret.Reveal() != "client-secret" || len(first.VerifyToken.Reveal()) < 40 || len(first.CallbackKey.Reveal()) < 40 {
		t.Error("the registration is not whole")
	}
	set(t, o)
	if again := o.app(t); !again.VerifyToken.Equal(first.VerifyToken) || !again.CallbackKey.Equal(first.CallbackKey) {
		t.Error("setting the secret again changed the webhook's secrets")
	}
	chosen := secret.New("a-verify-token-of-our-own")
	if _, err := o.SetApp(t.Context(), "4711", secret.New("client-secret"), chosen); err != nil {
		t.Fatal(err)
	}
	if !o.app(t).VerifyToken.Equal(chosen) {
		t.Error("the chosen verify token was not taken")
	}
}

func TestSetAppRefusesBadInputAndChangesNothing(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	if _, err := o.store.Update(t.Context(), credentials.Athlete(7), func(g *credentials.Grant) (bool, error) {
		g.State, g.Tokens = credentials.Active, credentials.TokenRef{Version: 1}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		id, secret, verify string
		want               fault.Kind
	}{
		"an id that is no number":                  {"x", "s", "", fault.Invalid},
		"an id below one":                          {"0", "s", "", fault.Invalid},
		"no secret":                                {"4711", "", "", fault.Invalid},
		"a verify token that can be guessed":       {"4711", "s", "hello", fault.Invalid},
		"another app while athletes are connected": {"4712", "s", "", fault.Conflict},
	} {
		if _, err := o.SetApp(t.Context(), tc.id, secret.New(tc.secret), secret.New(tc.verify)); !fault.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if app := o.app(t); app.ClientID != "4711" || app.ClientSecret.Reveal() != "client-secret" {
			t.Errorf("%s: the registration was changed", name)
		}
	}
}

func TestSetAppReplacesOnlyARegistrationThatCanNeverBeRead(t *testing.T) {
	for name, tc := range map[string]struct {
		fault    error
		replaced bool
	}{
		"throttled":                    {fault.New(fault.Transient, "rate exceeded"), false},
		"no answer":                    {context.DeadlineExceeded, false},
		"unexpected":                   {errors.New("defect"), false},
		"under a key that is gone":     {fault.New(fault.Permanent, "another key"), true},
		"under a key that is gone now": {fmt.Errorf("read: %w", fault.New(fault.Permanent, "another key")), true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newAdminFixture(t)
			set(t, o)
			before, err := o.EnsureSubscription(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			old := o.app(t)
			o.vault.AppFault = tc.fault
			replaced, err := o.SetApp(t.Context(), "4711", secret.New("client-secret"), secret.String{})
			o.vault.AppFault = nil
			app := o.app(t)
			if replaced != tc.replaced || (err == nil) != tc.replaced {
				t.Fatalf("replaced %v, %v", replaced, err)
			}
			if !tc.replaced {
				if !app.CallbackKey.Equal(old.CallbackKey) || app.SubscriptionID != before.ID {
					t.Error("the registration was changed")
				}
				return
			}
			if app.CallbackKey.Empty() || app.CallbackKey.Equal(old.CallbackKey) || app.VerifyToken.Empty() {
				t.Error("the new registration has no keys of its own")
			}
			after, err := o.EnsureSubscription(t.Context(), false)
			if err != nil || after.ID == before.ID || o.strava.Subscription().CallbackURL != "http://paceline.test/webhooks/strava/"+app.CallbackKey.Reveal() {
				t.Errorf("the subscription is %+v, %v", after, err)
			}
			if replaced, err := o.SetApp(t.Context(), "4711", secret.New("client-secret"), secret.String{}); replaced || err != nil {
				t.Errorf("the second time: replaced %v, %v", replaced, err)
			}
		})
	}
}

func TestEnsureSubscription(t *testing.T) {
	o := newAdminFixture(t)
	if _, err := o.EnsureSubscription(t.Context(), false); !fault.Is(err, fault.NotFound) {
		t.Errorf("without an app: %v", err)
	}
	set(t, o)
	first, err := o.EnsureSubscription(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if want := "http://paceline.test/webhooks/strava/" + o.app(t).CallbackKey.Reveal(); first.CallbackURL != want || o.strava.Subscription().CallbackURL != want {
		t.Errorf("callback %s", first.CallbackURL)
	}
	again, err := o.EnsureSubscription(t.Context(), false)
	if err != nil || again != first {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	published := eventtest.Facts[credentialsv1.WebhookConfigured](o.bus)
	if last := published[len(published)-1]; last.SubscriptionID != first.ID {
		t.Errorf("the webhook received %+v", last)
	}
	for i := 1; i < len(published); i++ {
		if published[i].Version <= published[i-1].Version {
			t.Errorf("version %d after %d", published[i].Version, published[i-1].Version)
		}
	}

	// The site has moved: Strava needs the new address.
	o.CallbackURL = "http://paceline.test/elsewhere/strava"
	moved, err := o.EnsureSubscription(t.Context(), false)
	if err != nil || moved.ID == first.ID || !strings.HasPrefix(o.strava.Subscription().CallbackURL, o.CallbackURL) {
		t.Errorf("after a move: %+v, %v", moved, err)
	}

	if err := o.DeleteSubscription(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.ShowSubscription(t.Context()); !fault.Is(err, fault.NotFound) {
		t.Errorf("after its deletion: %v", err)
	}
}

func TestEnsureSubscriptionLeavesAnotherHostsSubscriptionAlone(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	o.CallbackURL = "http://other.test:8443/webhooks/strava"
	if _, err := o.EnsureSubscription(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	others := *o.strava.Subscription()
	o.CallbackURL = "http://paceline.test/webhooks/strava"
	published := len(eventtest.Facts[credentialsv1.WebhookConfigured](o.bus))
	_, err := o.EnsureSubscription(t.Context(), false)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "other.test:8443") || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("got %v", err)
	}
	if err != nil && strings.Contains(err.Error(), o.app(t).CallbackKey.Reveal()) {
		t.Error("the error shows the callback key")
	}
	if err := o.DeleteSubscription(t.Context()); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "other.test:8443") {
		t.Errorf("deleting it: %v", err)
	}
	if sub := o.strava.Subscription(); sub == nil || *sub != others {
		t.Errorf("the other host's subscription became %+v", sub)
	}
	if n := len(eventtest.Facts[credentialsv1.WebhookConfigured](o.bus)); n != published {
		t.Error("the webhook received a change that did not happen")
	}
	taken, err := o.EnsureSubscription(t.Context(), true)
	if err != nil || taken.ID == others.ID || !strings.HasPrefix(o.strava.Subscription().CallbackURL, o.CallbackURL) {
		t.Errorf("with replace: %+v, %v", taken, err)
	}
}

func TestEnsureSubscriptionDoesNotCallStravaWhileTheCallbackIsSilent(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	o.silent = true
	_, err := o.EnsureSubscription(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "the callback does not answer") || !strings.Contains(err.Error(), "403") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), o.app(t).CallbackKey.Reveal()) || strings.Contains(err.Error(), o.app(t).VerifyToken.Reveal()) {
		t.Error("the error shows a secret")
	}
	if o.strava.Subscription() != nil {
		t.Error("Strava was asked all the same")
	}
}

func TestStatusAndAthletes(t *testing.T) {
	o := newAdminFixture(t)
	if s, err := o.Status(t.Context()); err != nil || s.ClientID != "" {
		t.Errorf("before anything is set: %+v, %v", s, err)
	}
	set(t, o)
	sub, err := o.EnsureSubscription(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for id, state := range map[int64]credentials.State{1: credentials.Active, 2: credentials.Active, 3: credentials.Degraded} {
		if _, err := o.store.Update(t.Context(), credentials.Athlete(id), func(g *credentials.Grant) (bool, error) {
			g.State, g.Tokens = state, credentials.TokenRef{Version: 1}
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := o.Status(t.Context())
	if err != nil || s.ClientID != "4711" || s.Subscription != sub || s.Athletes[credentials.Active] != 2 || s.Athletes[credentials.Degraded] != 1 ||
		s.Authorized != 3 || s.Capacity != 10 {
		t.Errorf("%+v, %v", s, err)
	}
	page, next, err := o.Athletes(t.Context(), credentials.ProviderStrava, "", 2)
	if err != nil || len(page) != 2 || next == "" {
		t.Errorf("%d athletes, next %q, %v", len(page), next, err)
	}
	if page, _, err := o.Athletes(t.Context(), "fitbit", "", 2); err != nil || len(page) != 0 {
		t.Errorf("%d accounts of another provider, %v", len(page), err)
	}
	if _, _, err := o.Athletes(t.Context(), "garmin", "", 2); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "strava, fitbit") {
		t.Errorf("an unknown provider: %v", err)
	}
	for _, limit := range []int{0, -1, 201} {
		if _, _, err := o.Athletes(t.Context(), credentials.ProviderStrava, "", limit); !fault.Is(err, fault.Invalid) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestIdleAthletes(t *testing.T) {
	o := newAdminFixture(t)
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	o.Events.Now = func() time.Time { return now }
	const day = 24 * time.Hour
	for id, g := range map[int64]credentials.Grant{
		1: {State: credentials.Active, Tokens: credentials.TokenRef{Version: 1}, Generation: now.Add(-91 * day).UnixMilli()},
		2: {State: credentials.Active, Tokens: credentials.TokenRef{Version: 1}, Generation: now.Add(-90 * day).UnixMilli()},
		3: {State: credentials.Active, Tokens: credentials.TokenRef{Version: 1}, Generation: now.Add(-90*day + time.Millisecond).UnixMilli()},
		4: {State: credentials.Degraded, Tokens: credentials.TokenRef{Version: 1}, Generation: now.Add(-400 * day).UnixMilli()},
		5: {State: credentials.Erased, Generation: now.Add(-400 * day).UnixMilli()},
	} {
		if _, err := o.store.Update(t.Context(), credentials.Athlete(id), func(stored *credentials.Grant) (bool, error) {
			g.Account = credentials.Athlete(id)
			*stored = g
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	var idle []credentials.Account
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		page, next, err := o.IdleAthletes(t.Context(), credentials.ProviderStrava, cursor, 2, 90*day)
		if err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, g := range page {
			idle = append(idle, g.Account)
		}
		cursor = next
	}
	if !slices.Equal(idle, []credentials.Account{credentials.Athlete(1), credentials.Athlete(2), credentials.Athlete(4)}) {
		t.Errorf("idle: %v", idle)
	}
	if _, _, err := o.IdleAthletes(t.Context(), credentials.ProviderStrava, "", 2, 30*day); err != nil {
		t.Errorf("idle for as long as a session lasts: %v", err)
	}
	for _, bad := range []time.Duration{0, -day, 29 * day} {
		if _, _, err := o.IdleAthletes(t.Context(), credentials.ProviderStrava, "", 2, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("idle for %s: %v", bad, err)
		}
	}
}

func TestRevokeAthleteIsARevocation(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	requestedAt := w.clock.Now()
	receipt, err := w.admin.RevokeAthlete(t.Context(), id)
	if err != nil || receipt == "" {
		t.Fatalf("receipt %q, %v", receipt, err)
	}
	if res := w.forward(id, generation); res.Outcome != credentialsv1.OutcomeRevoked {
		t.Errorf("a call right after it: %s", res.Outcome)
	}
	if _, err := w.admin.RevokeAthlete(t.Context(), id); !fault.Is(err, fault.Conflict) {
		t.Errorf("the second time: %v", err)
	}
	w.reconcileAll()
	w.mustBeErased(id, "after the reconciliation")
	published := eventtest.Facts[credentialsv1.AuthorizationRevoked](w.bus)
	want := []credentialsv1.AuthorizationRevoked{{
		AthleteID: id, Generation: generation, Receipt: receipt, Reason: credentialsv1.RevokedByAdmin, RequestedAt: requestedAt.UTC(),
	}}
	if d := cmp.Diff(want, published); d != "" {
		t.Errorf("published (-want +got)\n%s", d)
	}
	w.mustBeConfirmed(receipt, "")
	for _, id := range []int64{id, 99} {
		if _, err := w.admin.RevokeAthlete(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("an athlete without an authorization: %v", err)
		}
	}
	if w.connected(id) <= generation {
		t.Error("the athlete can't come back")
	}
}
