package fitbit

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paceline/paceline/standin"
)

const provider = "Fitbit"

// knownScopes are the scopes of Fitbit (Fitbit Web API, Application Design).
var knownScopes = standin.Scopes{
	"activity", "cardio_fitness", "electrocardiogram", "heartrate", "irregular_rhythm_notifications", "location",
	"nutrition", "oxygen_saturation", "profile", "respiratory_rate", "settings", "sleep", "social", "temperature", "weight",
}

// code is an authorization code.
type code struct {
	user, redirect, challenge string
	scopes                    standin.Scopes
	expires                   time.Time
	used                      bool
}

func (s *Server) routeOAuth() {
	noUser := func(*call) {}
	s.route(endpoint{EndpointAuthorize, noUser, s.authorize}, "GET /oauth2/authorize")
	s.route(endpoint{EndpointExchange, s.identifyGrant, s.authenticateClient(s.token)}, "POST /oauth2/token")
	s.route(endpoint{EndpointRevoke, s.identifyToken("token"), s.authenticateClient(s.revoke)}, "POST /oauth2/revoke")
}

// identifyGrant distinguishes a refresh from an exchange.
func (s *Server) identifyGrant(c *call) {
	if c.params.Get("grant_type") == "refresh_token" {
		c.endpoint = EndpointRefresh
		s.identifyToken("refresh_token")(c)
	} else if code := s.codes[c.params.Get("code")]; code != nil {
		c.user = code.user
	}
}

func (s *Server) identifyToken(param string) func(*call) {
	return func(c *call) {
		if t := s.tokens[c.params.Get(param)]; t != nil {
			c.user = t.user
		}
	}
}

// authenticateClient wraps the endpoints that authenticate the application by
// HTTP Basic, as Fitbit does for applications of type Server.
func (s *Server) authenticateClient(serve func(*call) response) func(*call) response {
	return func(c *call) response {
		if id, secret, ok := c.BasicAuth(); !ok || id != s.clientID || secret != s.secret {
			return refuseOAuth(http.StatusUnauthorized, "invalid_client", "Invalid authorization header format")
		}
		return serve(c)
	}
}

// authorize shows the consent page, or redirects as a user's choice there does.
// The parameter as_user names the user, and deny or accept_scope the choice.
//
// Fitbit redirects only after the user's choice and shows an error page for an
// invalid request (Fitbit Web API, Error Messages). Fitbit recommends PKCE; the
// stand-in requires it. Fitbit compares the redirect URI with the registered
// ones; the stand-in accepts any on this machine or in Config.CallbackDomain.
func (s *Server) authorize(c *call) response {
	q := c.params
	redirect, err := url.Parse(q.Get("redirect_uri"))
	requested := standin.Scopes(strings.Fields(q.Get("scope")))
	challenge := q.Get("code_challenge")
	switch {
	case q.Get("client_id") != s.clientID:
		return refuseOnPage("unauthorized_client - Invalid client_id")
	case q.Get("response_type") != "code":
		return refuseOnPage("unsupported_response_type - Invalid response_type parameter value")
	case err != nil || !s.allowsRedirect(redirect):
		return refuseOnPage("invalid_request - Invalid redirect_uri parameter value")
	case len(requested) == 0 || len(requested.Without(knownScopes)) > 0:
		return refuseOnPage("invalid_scope - Invalid scope parameter value")
	case len(challenge) < 43 || len(challenge) > 128:
		return refuseOnPage("invalid_request - The code_challenge parameter length must be between 43 and 128")
	case q.Get("code_challenge_method") != "S256":
		return refuseOnPage("invalid_request - Unsupported code_challenge_method")
	}
	redirect.Fragment = "_=_" // as Fitbit's redirects end (Fitbit Web API, Authorization)
	back := redirect.Query()
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	if q.Has("deny") {
		back.Set("error", "access_denied")
		back.Set("error_description", "The user denied the request.")
		return standin.Redirect(*redirect, back)
	}
	if !q.Has("as_user") {
		return s.consent(q, requested)
	}
	a := s.account(q.Get("as_user"))
	if a == nil {
		return refuseOnPage("unknown user: " + q.Get("as_user"))
	}
	accepted := requested
	if q.Has("accept_scope") { // separated by spaces, or one parameter for each checked box
		accepted = requested.And(strings.Fields(strings.Join(q["accept_scope"], " ")))
	}
	if len(accepted) == 0 {
		return refuseOnPage("choose at least one scope")
	}
	issued := s.newSecret(20)
	s.codes[issued] = &code{a.ID, q.Get("redirect_uri"), challenge, accepted, s.now().Add(codeLifetime), false}
	c.user = a.ID
	back.Set("code", issued)
	return standin.Redirect(*redirect, back)
}

// allowsRedirect reports whether u is on this machine or in the application's
// callback domain.
func (s *Server) allowsRedirect(u *url.URL) bool {
	host := u.Hostname()
	return (u.Scheme == "http" || u.Scheme == "https") && host != "" &&
		(host == "localhost" || host == "127.0.0.1" || host == s.callback)
}

func refuseOnPage(message string) response {
	return standin.HTML(http.StatusBadRequest, fmt.Sprintf(
		"<!DOCTYPE html><html><head><title>%s</title></head><body><h1>Developer information</h1><p>%s</p></body></html>",
		provider, html.EscapeString(message)))
}

func (s *Server) consent(q url.Values, requested standin.Scopes) response {
	q.Del("accept_scope")
	page := standin.Consent{
		Provider: provider, Action: "/oauth2/authorize", Query: q, AccountParam: "as_user", Noun: "user", Scopes: requested,
		Allow: "Allow", Deny: "Deny",
	}
	for _, a := range s.accounts {
		page.Accounts = append(page.Accounts, standin.ConsentAccount{ID: a.ID, Name: a.FullName, Connected: a.grant != nil})
	}
	return page.Response()
}
