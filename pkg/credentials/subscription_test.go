package credentials_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/credentials"
	vendor "github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// lockedVault cannot be read.
type lockedVault struct{ credentials.Vault }

func (lockedVault) App(context.Context, string) (credentials.App, error) {
	return credentials.App{}, errors.New("boom")
}

func TestCheckSaysWhetherWebhooksCanArrive(t *testing.T) {
	o := newAdminFixture(t)
	check := o.check
	look := func(askStrava bool) credentialsv1.CheckSubscriptionResponse {
		t.Helper()
		res, err := check.Check(t.Context(), askStrava)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	none := credentialsv1.CheckSubscriptionResponse{}
	if got := look(true); got != none {
		t.Errorf("before an application is set: %+v", got)
	}
	set(t, o)
	if got := look(true); got != none {
		t.Errorf("before there was a subscription: %+v", got)
	}
	sub, err := o.EnsureSubscription(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	well := credentialsv1.CheckSubscriptionResponse{Configured: true, Subscription: credentialsv1.SubscriptionOK, SubscriptionID: sub.ID}
	if got := look(true); got != well {
		t.Errorf("all is well: %+v", got)
	}
	unasked := credentialsv1.CheckSubscriptionResponse{Configured: true, Subscription: credentialsv1.SubscriptionUnknown}
	if got := look(false); got != unasked {
		t.Errorf("Strava not asked: %+v", got)
	}

	o.silent = true
	got := look(true)
	if !strings.Contains(got.CallbackFailure, "403") || got.Subscription != credentialsv1.SubscriptionOK {
		t.Errorf("a deaf callback: %+v", got)
	}
	if app := o.app(t); strings.Contains(got.CallbackFailure, app.CallbackKey.Reveal()) || strings.Contains(got.CallbackFailure, app.VerifyToken.Reveal()) {
		t.Errorf("the reason shows a secret: %q", got.CallbackFailure)
	}
	o.silent = false

	// The subscription is deleted at Strava, and the vault still holds its id.
	app := o.app(t)
	if err := o.Push.Unsubscribe(t.Context(), app, sub.ID); err != nil {
		t.Fatal(err)
	}
	missing := credentialsv1.CheckSubscriptionResponse{Configured: true, Subscription: credentialsv1.SubscriptionMissing}
	if got := look(true); got != missing {
		t.Errorf("a deleted subscription: %+v", got)
	}
	if _, err := o.Push.Subscribe(t.Context(), app, "http://other.test/webhooks/strava/"+app.CallbackKey.Reveal()); err != nil {
		t.Fatal(err)
	}
	elsewhere := look(true)
	if elsewhere.Subscription != credentialsv1.SubscriptionElsewhere || elsewhere.SubscriptionID != o.strava.Subscription().ID {
		t.Errorf("another host's subscription: %+v", elsewhere)
	}

	// While Strava refuses the application, the subscription's state is unknown.
	app.ClientSecret = secret.New("changed")
	if err := o.vault.SaveApp(t.Context(), credentials.ProviderStrava, app); err != nil {
		t.Fatal(err)
	}
	if got := look(true); got != unasked {
		t.Errorf("an application that Strava refuses: %+v", got)
	}

	check.Vault = lockedVault{o.vault}
	if _, err := check.Check(t.Context(), true); err == nil {
		t.Error("no error although the vault could not be read")
	}
}

func TestAResponseThatIsNoListLeavesTheSubscriptionUnknown(t *testing.T) {
	o := newAdminFixture(t)
	set(t, o)
	sub, err := o.EnsureSubscription(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]string{
		`[]`:                         credentialsv1.SubscriptionMissing,
		`null`:                       credentialsv1.SubscriptionUnknown,
		``:                           credentialsv1.SubscriptionUnknown,
		`{"message":"error"}`:        credentialsv1.SubscriptionUnknown,
		`<html>unavailable</html>`:   credentialsv1.SubscriptionUnknown,
		`[{}]`:                       credentialsv1.SubscriptionUnknown,
		`[null]`:                     credentialsv1.SubscriptionUnknown,
		`[{"id":7,"callback_url":""`: credentialsv1.SubscriptionUnknown,
	} {
		client := &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer))}, nil
		})}
		o.check.Push = vendor.NewPush(client, "http://strava.test/api/v3/push_subscriptions")
		res, err := o.check.Check(t.Context(), true)
		if err != nil || res.Subscription != want {
			t.Errorf("%s: %+v, %v", answer, res, err)
		}
	}
	if o.app(t).SubscriptionID != sub.ID {
		t.Error("a check changed what is stored")
	}
}
