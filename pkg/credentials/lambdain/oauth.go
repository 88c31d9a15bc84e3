package lambdain

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	// sessionCookie holds the session token.
	sessionCookie = "paceline_session"
	// nonceCookie binds a connect to the browser that began it.
	nonceCookie = "paceline_oauth"
	nonceMaxAge = 5 * time.Minute
)

// OAuth serves the OAuth routes.
type OAuth struct {
	Connect  *credentials.Connect
	Sessions credentials.Sessions
	Waitlist *credentials.Waitlist
	// SiteURL is the site's public origin.
	SiteURL string
	// SecureCookies is false only where the site has no TLS: in the local
	// cloud.
	SecureCookies bool
	Now           func() time.Time
	Log           *slog.Logger
}

// Routes by API Gateway's route keys.
func (o *OAuth) Routes() map[string]httpapi.Handler {
	return map[string]httpapi.Handler{
		"GET /oauth/connect":   o.connect,
		"GET /oauth/callback":  o.callback,
		"POST /oauth/logout":   httpapi.FromSite(o.SiteURL, o.logout),
		"POST /oauth/waitlist": o.joinWaitlist,
	}
}

// connect sends the athlete to Strava. When the application is full it sends
// those only who say that they have connected before: who it is is not known
// until they come back, and nobody with a place may be locked out. A newcomer
// who says so in vain has been at Strava for nothing, no more.
func (o *OAuth) connect(ctx context.Context, req httpapi.Request) (httpapi.Response, error) {
	if req.QueryStringParameters["returning"] == "" {
		full, err := o.Connect.Capacity.Full(ctx)
		if err != nil {
			o.Log.ErrorContext(ctx, "connect failed", "error", err.Error())
			return toSite("strava_unavailable"), nil
		}
		if full {
			return o.full(secret.New(o.Connect.NewSecret())), nil
		}
	}
	target, nonce, err := o.Connect.Start(ctx, cookie(req.Cookies, req.Headers, nonceCookie))
	if err != nil {
		o.Log.ErrorContext(ctx, "connect failed", "error", err.Error())
		return toSite("strava_unavailable"), nil
	}
	return httpapi.Redirect(target, o.cookie(nonceCookie, "/oauth", nonce, nonceMaxAge)), nil
}

func (o *OAuth) callback(ctx context.Context, req httpapi.Request) (httpapi.Response, error) {
	q := req.QueryStringParameters
	session, err := o.Connect.Finish(ctx, credentials.Callback{
		State: secret.New(q["state"]),
		Code:  secret.New(q["code"]),
		Scope: q["scope"],
		Error: q["error"],
		Nonce: cookie(req.Cookies, req.Headers, nonceCookie),
	})
	switch {
	case err == nil:
		return o.openSession(ctx, session), nil
	case errors.Is(err, credentials.ErrAccessDenied):
		return toSite("access_denied"), nil
	case errors.Is(err, credentials.ErrMissingScope):
		return toSite("missing_scope"), nil
	case errors.Is(err, credentials.ErrState):
		return toSite("state"), nil
	case errors.Is(err, credentials.ErrAppFull):
		o.Log.WarnContext(ctx, "the application is at its athlete capacity")
		return o.full(cookie(req.Cookies, req.Headers, nonceCookie)), nil
	}
	o.Log.ErrorContext(ctx, "connect failed", "error", err.Error())
	return toSite("strava_unavailable"), nil
}

// openSession gives the browser a session and leads it to the site.
func (o *OAuth) openSession(ctx context.Context, session credentials.Session) httpapi.Response {
	now := o.Now()
	token, err := o.Sessions.Sign(ctx, session, now, now.Add(credentials.SessionLife))
	if err != nil {
		o.Log.ErrorContext(ctx, "no session could be opened", "error", err.Error())
		return toSite("strava_unavailable")
	}
	return httpapi.Redirect("/", o.cookie(sessionCookie, "/", token, credentials.SessionLife))
}

func (o *OAuth) logout(context.Context, httpapi.Request) (httpapi.Response, error) {
	return httpapi.Response{
		StatusCode: http.StatusNoContent,
		Headers:    map[string]string{"Cache-Control": "no-store"},
		Cookies:    []string{o.cookie(sessionCookie, "/", secret.String{}, -1)},
	}, nil
}

// toSite leads back to the first page, which has a sentence for each code.
func toSite(code string) httpapi.Response { return httpapi.Redirect("/?error=" + code) }

func (o *OAuth) cookie(name, path string, value secret.String, life time.Duration) string {
	maxAge := int(life / time.Second)
	if life < 0 {
		maxAge = -1
	}
	return (&http.Cookie{
		Name: name, Value: value.Reveal(), Path: path, MaxAge: maxAge,
		HttpOnly: true, Secure: o.SecureCookies, SameSite: http.SameSiteLaxMode,
	}).String()
}

// cookie reads one of a request's cookies; empty when it isn't there. API
// Gateway hands them over as a list; the Cookie header field, which says the
// same, is all that some emulators give.
func cookie(list []string, header map[string]string, name string) secret.String {
	for _, line := range append(slices.Clone(list), header["cookie"]) {
		// One by one: another application's cookie may be malformed.
		for one := range strings.SplitSeq(line, ";") {
			cookies, err := http.ParseCookie(strings.TrimSpace(one))
			if err == nil && cookies[0].Name == name {
				return secret.New(cookies[0].Value)
			}
		}
	}
	return secret.String{}
}
