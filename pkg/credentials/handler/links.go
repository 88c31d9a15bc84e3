package handler

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Links serves the routes by which athletes link an account of one provider.
type Links struct {
	Provider string
	Connect  *credentials.Connect
	Service  *credentials.Links
	// SiteURL is the site's public origin.
	SiteURL string
	Cookies Cookies
	Log     *slog.Logger
}

// Routes returns the handlers by API Gateway's route keys.
func (l *Links) Routes() map[string]api.Handler {
	return map[string]api.Handler{
		"GET /oauth/{provider}/connect":  ignorePrefetch(api.SameOrigin(l.SiteURL, api.Authenticated(l.connect))),
		"GET /oauth/{provider}/callback": ignorePrefetch(l.callback),
		"GET /v1/me/links/{provider}":    api.Authenticated(l.show),
		"DELETE /v1/me/links/{provider}": api.SameOrigin(l.SiteURL, api.Authenticated(l.unlink)),
	}
}

// unknown reports whether a call is about another provider.
func (l *Links) unknown(req api.Request) bool {
	return req.PathParameters["provider"] != l.Provider
}

// noProvider answers a call about an unknown provider.
func noProvider() api.Response {
	return api.Problem(http.StatusNotFound, "There is no such provider.")
}

// connect sends the athlete to the provider.
func (l *Links) connect(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
	if id.Key { // This GET changes something, so a key may not call it.
		return api.KeyForbidden(), nil
	}
	if l.unknown(req) {
		return noProvider(), nil
	}
	started, err := l.Connect.Start(ctx, owner(id))
	if err != nil {
		l.Log.ErrorContext(ctx, "link not started", "provider", l.Provider, "error", err.Error())
		return redirectWithError("link_failed"), nil
	}
	return l.Cookies.startConnect(req, started), nil
}

// callback links the account to the athlete who began the connect.
func (l *Links) callback(ctx context.Context, req api.Request) (api.Response, error) {
	if l.unknown(req) {
		return noProvider(), nil
	}
	return l.Cookies.finishConnect(req, func(nonce secret.String) api.Response { return l.finish(ctx, req, nonce) }), nil
}

func (l *Links) finish(ctx context.Context, req api.Request, nonce secret.String) api.Response {
	q := req.QueryStringParameters
	_, err := l.Connect.Finish(ctx, credentials.Callback{
		State: secret.New(q["state"]), Code: secret.New(q["code"]), Error: q["error"], Nonce: nonce,
	})
	switch {
	case err == nil:
		return api.Redirect("/")
	case errors.Is(err, credentials.ErrAccessDenied):
		return redirectWithError("link_denied")
	case errors.Is(err, credentials.ErrMissingScope):
		return redirectWithError("link_scope")
	case errors.Is(err, credentials.ErrState), errors.Is(err, credentials.ErrRevoked):
		return redirectWithError("link_state")
	case errors.Is(err, credentials.ErrOtherAccountLinked):
		return redirectWithError("link_other")
	}
	l.Log.ErrorContext(ctx, "account not linked", "provider", l.Provider, "error", err.Error())
	return redirectWithError("link_failed")
}

// linked is a linked account in a response.
type linked struct {
	Provider    string `json:"provider"`
	DisplayName string `json:"display_name,omitempty"`
	// Date is the person's day, YYYY-MM-DD.
	Date          string `json:"date"`
	Steps         int    `json:"steps"`
	ActiveMinutes int    `json:"active_minutes"`
}

func (l *Links) show(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
	if l.unknown(req) {
		return noProvider(), nil
	}
	today, err := l.Service.Today(ctx, owner(id))
	switch {
	case errors.Is(err, credentials.ErrDegraded):
		return api.Problem(http.StatusConflict, "The provider refuses access. Link the account again."), nil
	case errors.Is(err, credentials.ErrProviderUnavailable):
		return api.Problem(http.StatusServiceUnavailable, "The provider's data cannot be read at the moment. Try again later."), nil
	case err != nil:
		return l.failed(err)
	}
	return api.JSON(http.StatusOK, linked{l.Provider, today.DisplayName, today.Date, today.Steps, today.ActiveMinutes}), nil
}

func (l *Links) unlink(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
	if l.unknown(req) {
		return noProvider(), nil
	}
	receipt, err := l.Service.Unlink(ctx, owner(id))
	if err != nil {
		return l.failed(err)
	}
	return api.JSON(http.StatusAccepted, struct {
		Receipt   string `json:"receipt"`
		StatusURL string `json:"status_url"`
	}{receipt, api.ErasurePath + receipt}), nil
}

// failed answers a call that failed: 401 if the session's authorization is
// over, 404 if no account is linked. It returns any other error.
func (l *Links) failed(err error) (api.Response, error) {
	switch {
	case errors.Is(err, credentials.ErrRevoked):
		return api.Unauthorized(), nil
	case errors.Is(err, credentials.ErrNotLinked):
		return api.Problem(http.StatusNotFound, "No account of this provider is linked."), nil
	}
	return api.Response{}, err
}

func owner(id api.Identity) credentials.Authorization {
	return credentials.Authorization{AthleteID: id.AthleteID, Generation: id.Generation}
}
