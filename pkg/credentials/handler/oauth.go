package handler

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	// nonceTTL is how long a connect may take.
	nonceTTL = 5 * time.Minute
	// maxConnects is how many pending connects a browser may have.
	maxConnects = 5
)

// OAuth serves the OAuth routes.
type OAuth struct {
	Connect       *credentials.Connect
	Sessions      *credentials.Sessions
	Authenticator *credentials.Authenticator
	Waitlist      *credentials.Waitlist
	// SiteURL is the site's public origin.
	SiteURL string
	Cookies Cookies
	Log     *slog.Logger
}

// Routes returns the handlers by API Gateway's route keys.
func (o *OAuth) Routes() map[string]api.Handler {
	return map[string]api.Handler{
		"GET /oauth/connect":   ignorePrefetch(o.connect),
		"GET /oauth/callback":  ignorePrefetch(o.callback),
		"POST /oauth/logout":   api.SameOrigin(o.SiteURL, o.logout),
		"POST /oauth/waitlist": o.joinWaitlist,
	}
}

// ignorePrefetch calls handle for a call that a person makes. A browser that
// prefetches (Fetch standard, Sec-Purpose) gets an empty response and calls
// again when the person follows the link.
func ignorePrefetch(handle api.Handler) api.Handler {
	return func(ctx context.Context, req api.Request) (api.Response, error) {
		for _, name := range []string{"sec-purpose", "purpose", "x-moz"} {
			if strings.Contains(strings.ToLower(req.Headers[name]), "prefetch") {
				return noContent(), nil
			}
		}
		if req.RequestContext.HTTP.Method == http.MethodHead {
			return noContent(), nil
		}
		return handle(ctx, req)
	}
}

// connect sends the athlete to Strava. When the application is full it sends
// only athletes who say that they have connected before: the athlete is unknown
// until the callback, and an athlete with a place must get in. A false
// statement costs one wasted redirect.
func (o *OAuth) connect(ctx context.Context, req api.Request) (api.Response, error) {
	if req.QueryStringParameters["returning"] == "" {
		full, err := o.Connect.Capacity.Full(ctx)
		if err != nil {
			o.Log.ErrorContext(ctx, "connect failed", "error", err.Error())
			return redirectWithError("strava_unavailable"), nil
		}
		if full {
			return o.redirectFull(ctx, credentials.NoPlaceHere), nil
		}
	}
	started, err := o.Connect.Start(ctx, credentials.Authorization{})
	if err != nil {
		o.Log.ErrorContext(ctx, "connect failed", "error", err.Error())
		return redirectWithError("strava_unavailable"), nil
	}
	return o.Cookies.startConnect(req, started), nil
}

// startConnect redirects to the provider, and sets the cookie that the callback
// needs.
func (c Cookies) startConnect(req api.Request, started credentials.StartedConnect) api.Response {
	set := []string{c.set(nonceName(started.State), started.Nonce, nonceTTL)}
	if others := c.names(req.Cookies, req.Headers, nonceCookie); len(others) >= maxConnects {
		// Each pending connect has a cookie; too many would make requests too large.
		for _, name := range others {
			set = append(set, c.set(name, secret.String{}, 0))
		}
	}
	return api.Redirect(started.AuthorizeURL, set...)
}

// nonceName returns the name of the cookie for the nonce of the connect with
// the state. It does not reveal the state.
func nonceName(state secret.String) string { return nonceCookie + state.SHA256()[:8] }

// callback completes a connect, and consumes its nonce whether it succeeds or
// not.
func (o *OAuth) callback(ctx context.Context, req api.Request) (api.Response, error) {
	return o.Cookies.finishConnect(req, func(nonce secret.String) api.Response { return o.finish(ctx, req, nonce) }), nil
}

// finishConnect completes a connect by its nonce, and deletes the nonce's
// cookie.
func (c Cookies) finishConnect(req api.Request, complete func(nonce secret.String) api.Response) api.Response {
	name := nonceName(secret.New(req.QueryStringParameters["state"]))
	nonce := c.first(req.Cookies, req.Headers, name)
	res := complete(nonce)
	if !nonce.Empty() {
		res.Cookies = append(res.Cookies, c.set(name, secret.String{}, 0))
	}
	return res
}

func (o *OAuth) finish(ctx context.Context, req api.Request, nonce secret.String) api.Response {
	q := req.QueryStringParameters
	session, err := o.Connect.Finish(ctx, credentials.Callback{
		State: secret.New(q["state"]),
		Code:  secret.New(q["code"]),
		Scope: q["scope"],
		Error: q["error"],
		Nonce: nonce,
	})
	var token secret.String
	if err == nil {
		token, err = o.Sessions.Open(ctx, session)
	}
	switch {
	case err == nil:
		o.endReplaced(ctx, req)
		return api.Redirect("/", o.Cookies.set(sessionCookie, token, credentials.SessionTTL))
	case errors.Is(err, credentials.ErrAccessDenied):
		return redirectWithError("access_denied")
	case errors.Is(err, credentials.ErrMissingScope):
		return redirectWithError("missing_scope")
	case errors.Is(err, credentials.ErrState) && o.signedIn(ctx, req):
		// The browser repeated the call: back button, reload, or double click.
		return api.Redirect("/")
	case errors.Is(err, credentials.ErrState):
		return redirectWithError("state")
	case errors.Is(err, credentials.ErrAppFull):
		o.Log.WarnContext(ctx, "the application is at its athlete capacity")
		return o.redirectFull(ctx, credentials.NoPlaceAtCallback)
	}
	o.Log.ErrorContext(ctx, "connect failed", "error", err.Error())
	return redirectWithError("strava_unavailable")
}

// sessions returns the session cookies of a request, at most maxSessionCookies.
func (o *OAuth) sessions(req api.Request) []secret.String {
	tokens := o.Cookies.read(req.Cookies, req.Headers, sessionCookie)
	return tokens[:min(len(tokens), maxSessionCookies)]
}

// signedIn reports whether the browser has a valid session.
func (o *OAuth) signedIn(ctx context.Context, req api.Request) bool {
	return slices.ContainsFunc(o.sessions(req), func(token secret.String) bool {
		_, err := o.Authenticator.Authenticate(ctx, credentials.SessionCredential, token, true)
		return err == nil
	})
}

// endReplaced ends the session whose cookie the browser is about to replace. If
// that fails, the session expires without use.
func (o *OAuth) endReplaced(ctx context.Context, req api.Request) {
	for _, token := range o.sessions(req) {
		if err := o.Sessions.End(ctx, token); err != nil {
			o.Log.WarnContext(ctx, "replaced session not ended", "error", err.Error())
		}
	}
}

// logout ends the session. The cookie stays if that fails, so that the athlete
// can try again.
func (o *OAuth) logout(ctx context.Context, req api.Request) (api.Response, error) {
	for _, token := range o.sessions(req) {
		if err := o.Sessions.End(ctx, token); err != nil {
			return api.Response{}, err
		}
	}
	return o.Cookies.loggedOut(req), nil
}

// loggedOut deletes the cookies of the session and of abandoned connects.
func (c Cookies) loggedOut(req api.Request) api.Response {
	res := noContent()
	for _, name := range append(c.names(req.Cookies, req.Headers, nonceCookie), sessionCookie, formCookie) {
		res.Cookies = append(res.Cookies, c.set(name, secret.String{}, 0))
	}
	return res
}

// noContent returns a response without a body.
func noContent() api.Response {
	return api.Response{StatusCode: http.StatusNoContent, Headers: map[string]string{"Cache-Control": "no-store"}}
}

// redirectWithError redirects to the home page, which shows a message for each
// code.
func redirectWithError(code string) api.Response { return api.Redirect("/?error=" + code) }
