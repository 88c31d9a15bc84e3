package strava

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
)

// Push is Strava's push subscriptions resource (Strava, "Webhook Events API").
type Push struct {
	client *http.Client
	base   string
}

// NewPush returns a client for the resource at base.
func NewPush(client *http.Client, base string) *Push {
	return &Push{client, strings.TrimSuffix(base, "/")}
}

type subscription struct {
	ID          int64  `json:"id"`
	CallbackURL string `json:"callback_url"`
}

func identified(app credentials.App) url.Values {
	return url.Values{"client_id": {app.ClientID}, "client_secret": {app.ClientSecret.Reveal()}}
}

// Subscription implements [credentials.Push].
func (p *Push) Subscription(ctx context.Context, app credentials.App) (credentials.Subscription, error) {
	req, err := httpcall.Form(http.MethodGet, p.base+"?"+identified(app).Encode(), nil)
	if err != nil {
		return credentials.Subscription{}, err
	}
	a, err := httpcall.Do(ctx, p.client, pushTimeout, req)
	if err != nil {
		return credentials.Subscription{}, err
	}
	if a.Status != http.StatusOK {
		return credentials.Subscription{}, refusal(a)
	}
	var list []subscription
	if json.Unmarshal(a.Body, &list) != nil || list == nil { // null is no list.
		return credentials.Subscription{}, fault.New(fault.Transient, "Strava returned no list of subscriptions")
	}
	if len(list) == 0 {
		return credentials.Subscription{}, fault.New(fault.NotFound, "there is no push subscription")
	}
	if list[0].ID <= 0 {
		return credentials.Subscription{}, fault.New(fault.Transient, "Strava's list has a subscription without an id")
	}
	return credentials.Subscription(list[0]), nil
}

// Subscribe implements [credentials.Push].
func (p *Push) Subscribe(ctx context.Context, app credentials.App, callbackURL string) (credentials.Subscription, error) {
	values := identified(app)
	values.Set("callback_url", callbackURL)
	values.Set("verify_token", app.VerifyToken.Reveal())
	req, err := httpcall.Form(http.MethodPost, p.base, values)
	if err != nil {
		return credentials.Subscription{}, err
	}
	a, err := httpcall.Do(ctx, p.client, pushTimeout, req)
	if err != nil {
		return credentials.Subscription{}, err
	}
	if a.Status == http.StatusBadRequest && strings.Contains(string(a.Body), "PushSubscription") {
		return credentials.Subscription{}, fault.New(fault.Invalid, "Strava could not verify the callback URL, or has a subscription already")
	}
	if a.Status != http.StatusCreated && a.Status != http.StatusOK {
		return credentials.Subscription{}, refusal(a)
	}
	var s subscription
	if json.Unmarshal(a.Body, &s) != nil || s.ID <= 0 {
		return credentials.Subscription{}, fault.New(fault.Transient, "Strava's response names no subscription")
	}
	return credentials.Subscription{ID: s.ID, CallbackURL: callbackURL}, nil
}

// Unsubscribe implements [credentials.Push].
func (p *Push) Unsubscribe(ctx context.Context, app credentials.App, id int64) error {
	req, err := httpcall.Form(http.MethodDelete, p.base+"/"+strconv.FormatInt(id, 10)+"?"+identified(app).Encode(), nil)
	if err != nil {
		return err
	}
	a, err := httpcall.Do(ctx, p.client, pushTimeout, req)
	if err != nil {
		return err
	}
	if a.Status != http.StatusNoContent && a.Status != http.StatusNotFound {
		return refusal(a)
	}
	return nil
}

// Handshake implements [credentials.Push].
func (p *Push) Handshake(ctx context.Context, app credentials.App, callbackURL, challenge string) error {
	req, err := httpcall.Form(http.MethodGet, callbackURL+"?"+url.Values{
		"hub.mode": {"subscribe"}, "hub.challenge": {challenge}, "hub.verify_token": {app.VerifyToken.Reveal()},
	}.Encode(), nil)
	if err != nil {
		return err
	}
	a, err := httpcall.Do(ctx, p.client, handshakeTimeout, req)
	if err != nil {
		return err
	}
	var echo struct {
		Challenge string `json:"hub.challenge"`
	}
	if a.Status != http.StatusOK {
		return fault.New(fault.Transient, "the callback answered with status %d", a.Status)
	}
	if json.Unmarshal(a.Body, &echo) != nil || echo.Challenge != challenge {
		return fault.New(fault.Transient, "the callback did not return the challenge")
	}
	return nil
}
