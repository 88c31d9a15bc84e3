package handler

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
)

// API serves the routes by which athletes manage their keys and sessions. A key
// may call none of them.
type API struct {
	Keys     *credentials.Keys
	Sessions *credentials.Sessions
	// SiteURL is the site's public origin.
	SiteURL string
	Cookies Cookies
}

// Routes returns the handlers by API Gateway's route keys.
func (a *API) Routes() map[string]api.Handler {
	return map[string]api.Handler{
		"GET /v1/me/keys":         bySession(a.list),
		"POST /v1/me/keys":        api.SameOrigin(a.SiteURL, bySession(a.create)),
		"DELETE /v1/me/keys/{id}": api.SameOrigin(a.SiteURL, bySession(a.revoke)),
		"DELETE /v1/me/sessions":  api.SameOrigin(a.SiteURL, bySession(a.logOutEverywhere)),
	}
}

// bySession calls handle for a session and answers 403 to a key.
func bySession(handle func(context.Context, credentials.Authorization, api.Request) (api.Response, error)) api.Handler {
	return api.Authenticated(func(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
		if id.Key {
			return api.KeyForbidden(), nil
		}
		return handle(ctx, credentials.Authorization{AthleteID: id.AthleteID, Generation: id.Generation}, req)
	})
}

// key is a key in a response, without its secret.
type key struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// LastUsedOn is a day in UTC.
	LastUsedOn string `json:"last_used_on,omitempty"`
}

func keyOf(c credentials.Credential) key {
	k := key{ID: c.ID(), Name: c.Name, CreatedAt: c.CreatedAt.UTC()}
	if !c.ExpiresAt.IsZero() {
		k.ExpiresAt = &c.ExpiresAt
	}
	if !c.UsedOn.IsZero() {
		k.LastUsedOn = c.UsedOn.Format(time.DateOnly)
	}
	return k
}

func (a *API) list(ctx context.Context, by credentials.Authorization, _ api.Request) (api.Response, error) {
	all, err := a.Keys.List(ctx, by.AthleteID)
	out := struct {
		Items []key `json:"items"`
	}{[]key{}}
	for _, c := range all {
		out.Items = append(out.Items, keyOf(c))
	}
	return api.JSON(http.StatusOK, out), err
}

func (a *API) create(ctx context.Context, by credentials.Authorization, req api.Request) (api.Response, error) {
	var input struct {
		Name      string     `json:"name"`
		ExpiresAt *time.Time `json:"expires_at"`
	}
	if refused, ok := readBody(req, &input); !ok {
		return refused, nil
	}
	var expiresAt time.Time
	if input.ExpiresAt != nil {
		expiresAt = *input.ExpiresAt
	}
	c, token, err := a.Keys.Create(ctx, by, input.Name, expiresAt)
	switch {
	case errors.Is(err, credentials.ErrTooManyKeys):
		return api.Problem(http.StatusConflict, "You have 10 keys already. Revoke one first."), nil
	case errors.Is(err, credentials.ErrRevoked):
		return api.Unauthorized(), nil
	case err != nil:
		return api.Response{}, err
	}
	return api.JSON(http.StatusCreated, struct {
		key
		Secret string `json:"secret"`
	}{keyOf(c), token.Reveal()}), nil
}

func (a *API) revoke(ctx context.Context, by credentials.Authorization, req api.Request) (api.Response, error) {
	if err := a.Keys.Revoke(ctx, by.AthleteID, req.PathParameters["id"]); err != nil {
		return api.Response{}, err
	}
	return noContent(), nil
}

func (a *API) logOutEverywhere(ctx context.Context, by credentials.Authorization, req api.Request) (api.Response, error) {
	if err := a.Sessions.EndEverywhere(ctx, by.AthleteID); err != nil {
		return api.Response{}, err
	}
	return a.Cookies.loggedOut(req), nil
}
