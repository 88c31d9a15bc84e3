package fitbit

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Lifetimes (Fitbit Web API, OAuth2 Token and Best Practices). A refresh token
// lives until it is used. Best Practices has an identical refresh answered the
// same way for an interval that it does not name; two minutes is hearsay.
const (
	accessLifetime = 8 * time.Hour
	codeLifetime   = 10 * time.Minute
	repeatInterval = 2 * time.Minute
)

// The scopes of Fitbit (Fitbit Web API, Application Design).
var knownScopes = scopes{
	"activity", "cardio_fitness", "electrocardiogram", "heartrate", "irregular_rhythm_notifications", "location",
	"nutrition", "oxygen_saturation", "profile", "respiratory_rate", "settings", "sleep", "social", "temperature", "weight",
}

// scopes is a list of scopes in the order they were asked for.
type scopes []string

func (s scopes) String() string { return strings.Join(s, " ") }

func (s scopes) has(scope string) bool { return slices.Contains(s, scope) }

// code is an authorization code.
type code struct {
	user, redirect, challenge string
	scope                     scopes
	expires                   time.Time
	used                      bool
}

// grant is a person's authorization of the application. A person has one refresh
// token, and may have several access tokens (Fitbit Web API, Best Practices).
type grant struct {
	scope   scopes // of the last consent
	refresh *token // the one that works
}

// token is kept when it is dead.
type token struct {
	user    string
	grant   *grant
	refresh bool

	// Of an access token.
	scope   scopes
	expires time.Time
	used    bool // in a call to the API

	// Of a refresh token that was used: the answer, by which the two tokens after
	// it were issued.
	answer      answer
	answeredAt  time.Time
	nextAccess  *token
	nextRefresh *token
}

// stands tells whether the authorization that t belongs to has not ended. The
// caller holds the lock.
func (s *Server) stands(t *token) bool {
	a := s.account(t.user)
	return a != nil && a.grant != nil && a.grant == t.grant
}

// live tells whether t can be used. The caller holds the lock.
func (s *Server) live(t *token) bool {
	if t == nil || !s.stands(t) {
		return false
	}
	if t.refresh {
		return t.grant.refresh == t
	}
	return s.now().Before(t.expires)
}

func (s *Server) routeOAuth() {
	nobody := func(*call) {}
	s.route(endpoint{EndpointAuthorize, nobody, s.authorize}, "GET /oauth2/authorize")
	s.route(endpoint{EndpointExchange, s.identifyGrant, s.ofClient(s.token)}, "POST /oauth2/token")
	s.route(endpoint{EndpointRevoke, s.identifyToken("token"), s.ofClient(s.revoke)}, "POST /oauth2/revoke")
}

// identifyGrant tells a refresh from an exchange.
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

// ofClient wraps the endpoints that authenticate the application, which they do
// by HTTP Basic, as Fitbit has it for applications of type Server.
func (s *Server) ofClient(serve func(*call) answer) func(*call) answer {
	return func(c *call) answer {
		if id, secret, ok := c.BasicAuth(); !ok || id != s.clientID || secret != s.secret {
			return refuseOAuth(http.StatusUnauthorized, "invalid_client", "Invalid authorization header format")
		}
		return serve(c)
	}
}

//go:embed consent.html
var consentHTML string

var consentPage = template.Must(template.New("consent").Parse(consentHTML))

// authorize shows the consent screen, or acts on it: as_user says which person
// answers, deny or accept_scope what they answer. Only a person's answer leads
// back to the application; what is wrong with the request is shown on a page
// (Fitbit Web API, Error Messages). Fitbit recommends PKCE, and the stand-in
// insists on it. Fitbit knows the application's redirect URIs; the stand-in knows
// that they are on this machine.
func (s *Server) authorize(c *call) answer {
	q := c.params
	redirect, err := url.Parse(q.Get("redirect_uri"))
	requested := scopes(strings.Fields(q.Get("scope")))
	challenge := q.Get("code_challenge")
	switch {
	case q.Get("client_id") != s.clientID:
		return refuseOnPage("unauthorized_client - Invalid client_id")
	case q.Get("response_type") != "code":
		return refuseOnPage("unsupported_response_type - Invalid response_type parameter value")
	case err != nil || redirect.Scheme != "http" && redirect.Scheme != "https" ||
		redirect.Hostname() != "localhost" && redirect.Hostname() != "127.0.0.1":
		return refuseOnPage("invalid_request - Invalid redirect_uri parameter value")
	case len(requested) == 0 || slices.ContainsFunc(requested, func(s string) bool { return !knownScopes.has(s) }):
		return refuseOnPage("invalid_scope - Invalid scope parameter value")
	case len(challenge) < 43 || len(challenge) > 128:
		return refuseOnPage("invalid_request - The code_challenge parameter length must be between 43 and 128")
	case q.Get("code_challenge_method") != "S256":
		return refuseOnPage("invalid_request - Unsupported code_challenge_method")
	}
	back := redirect.Query()
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	if q.Has("deny") {
		back.Set("error", "access_denied")
		back.Set("error_description", "The user denied the request.")
		return redirectTo(redirect, back)
	}
	if !q.Has("as_user") {
		return s.consent(q, requested)
	}
	a := s.account(q.Get("as_user"))
	if a == nil {
		return refuseOnPage("there is no such user")
	}
	accepted := requested
	if q.Has("accept_scope") { // once, separated by spaces, or once for each ticked box
		ticked := scopes(strings.Fields(strings.Join(q["accept_scope"], " ")))
		accepted = slices.DeleteFunc(slices.Clone(requested), func(s string) bool { return !ticked.has(s) })
	}
	if len(accepted) == 0 {
		return refuseOnPage("choose at least one scope")
	}
	token := s.newSecret(20)
	s.codes[token] = &code{a.ID, q.Get("redirect_uri"), challenge, accepted, s.now().Add(codeLifetime), false}
	c.user = a.ID
	back.Set("code", token)
	return redirectTo(redirect, back)
}

func refuseOnPage(message string) answer {
	return htmlAnswer(http.StatusBadRequest, "<!DOCTYPE html><html><head><title>Fitbit</title></head><body><h1>Developer information</h1><p>"+
		html.EscapeString(message)+"</p></body></html>")
}

// redirectTo ends the address as Fitbit does (Fitbit Web API, Authorization).
func redirectTo(u *url.URL, query url.Values) answer {
	to := *u
	to.RawQuery, to.Fragment = query.Encode(), "_=_"
	return answer{status: http.StatusFound, header: http.Header{"Location": {to.String()}}}
}

func (s *Server) consent(q url.Values, requested scopes) answer {
	q.Del("accept_scope")
	data := struct {
		People    []*account
		Query     url.Values
		Requested scopes
	}{s.people, q, requested}
	var page strings.Builder
	if err := consentPage.Execute(&page, data); err != nil {
		panic(err) // a strings.Builder cannot fail
	}
	return htmlAnswer(http.StatusOK, page.String())
}

func (s *Server) token(c *call) answer {
	switch c.params.Get("grant_type") {
	case "authorization_code":
		return s.exchange(c.params)
	case "refresh_token":
		return s.refresh(c)
	case "":
		return refuseOAuth(http.StatusBadRequest, "invalid_request", "Missing parameters: grant_type")
	}
	return refuseOAuth(http.StatusBadRequest, "unsupported_grant_type", "Unsupported grant type")
}

// exchange turns a code into tokens. For a person who is connected already the
// old access tokens live on, and the old refresh token is dead. A code that was
// presented is used, whatever else is wrong; Fitbit does not say.
func (s *Server) exchange(params url.Values) answer {
	presented := params.Get("code")
	if presented == "" {
		return refuseOAuth(http.StatusBadRequest, "invalid_request", "Missing parameters: code")
	}
	code := s.codes[presented]
	if code == nil || code.used {
		return refuseOAuth(http.StatusBadRequest, "invalid_grant", "Authorization code invalid: %s", presented)
	}
	code.used = true
	verified := sha256.Sum256([]byte(params.Get("code_verifier")))
	switch {
	case !s.now().Before(code.expires):
		return refuseOAuth(http.StatusBadRequest, "invalid_grant", "Authorization code expired: %s", presented)
	case code.redirect != params.Get("redirect_uri"):
		return refuseOAuth(http.StatusBadRequest, "invalid_grant", "Redirect_uri mismatch: %s", params.Get("redirect_uri"))
	case code.challenge != base64.RawURLEncoding.EncodeToString(verified[:]):
		return refuseOAuth(http.StatusBadRequest, "invalid_grant", "Code verifier invalid: %s", params.Get("code_verifier"))
	}
	a := s.account(code.user)
	if a.grant == nil {
		a.grant = &grant{}
	}
	a.grant.scope = code.scope
	response, _ := s.issuePair(a)
	return response
}

// refresh gives a new pair for the one refresh token that works. An identical
// refresh gets the same answer for a while, unless a token of that answer was
// used meanwhile (Fitbit Web API, Best Practices).
func (s *Server) refresh(c *call) answer {
	presented := c.params.Get("refresh_token")
	if presented == "" {
		return refuseOAuth(http.StatusBadRequest, "invalid_request", "Missing parameters: refresh_token")
	}
	t := s.tokens[presented]
	switch {
	case t != nil && t.refresh && s.live(t):
		var access *token
		t.answer, access = s.issuePair(s.account(t.user))
		t.answeredAt, t.nextAccess, t.nextRefresh = s.now(), access, t.grant.refresh
		return t.answer
	case t != nil && s.repeatable(t):
		s.counters.repeated[t.user]++
		return t.answer
	case t != nil && t.refresh:
		s.counters.deadRefresh[t.user]++
	}
	return refuseOAuth(http.StatusBadRequest, "invalid_grant", "Refresh token invalid: %s", presented)
}

// repeatable tells whether a refresh by t, which was used, is answered again.
func (s *Server) repeatable(t *token) bool {
	return t.nextAccess != nil && s.live(t.nextRefresh) && !t.nextAccess.used && s.now().Sub(t.answeredAt) < repeatInterval
}

// issuePair gives the person a new pair. The old access tokens live on; the old
// refresh token is dead.
func (s *Server) issuePair(a *account) (response answer, access *token) {
	now := s.now().Truncate(time.Second)
	access = &token{user: a.ID, grant: a.grant, scope: a.grant.scope, expires: now.Add(accessLifetime)}
	accessText, refreshText := s.newAccessToken(access, now), s.newSecret(32)
	a.grant.refresh = &token{user: a.ID, grant: a.grant, refresh: true}
	s.tokens[accessText], s.tokens[refreshText] = access, a.grant.refresh
	return jsonAnswer(http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"refresh_token"`
		Scope        string `json:"scope"`
		TokenType    string `json:"token_type"`
		UserID       string `json:"user_id"`
	}{accessText, int(accessLifetime.Seconds()), refreshText, a.grant.scope.String(), "Bearer", a.ID}), access
}

// newAccessToken makes a JWT, as Fitbit's access tokens are, with the claims that
// were seen in one. Its signature is random, because no client can check it.
func (s *Server) newAccessToken(t *token, issued time.Time) string {
	claims, err := json.Marshal(map[string]any{
		"aud": s.clientID, "sub": t.user, "iss": "Fitbit", "typ": "access_token", "scopes": t.scope.String(),
		"iat": issued.Unix(), "exp": t.expires.Unix(),
	})
	if err != nil {
		panic(err) // only our own types come here
	}
	var signature [32]byte
	_, _ = s.rng.Read(signature[:]) // never fails
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256"}`)) + "." + encode(claims) + "." + encode(signature[:])
}

// revoke ends an authorization by either token (Fitbit Web API, Revoke Token). A
// dead token was seen refused, although RFC 7009 has it accepted.
func (s *Server) revoke(c *call) answer {
	presented := c.params.Get("token")
	if presented == "" {
		return refuseOAuth(http.StatusBadRequest, "invalid_request", "Missing parameters: token")
	}
	t := s.tokens[presented]
	if !s.live(t) {
		return refuseOAuth(http.StatusUnauthorized, "invalid_token", "Token invalid: %s", presented)
	}
	s.account(t.user).grant = nil
	return answer{status: http.StatusOK}
}

// Secrets is everything that must never be found in a log, a table, a queue or
// an event: all that was ever issued, dead or alive.
type Secrets struct {
	ClientSecret  string   `json:"client_secret"`
	BasicAuth     string   `json:"basic_auth"` // as calls carry id and secret
	AccessTokens  []string `json:"access_tokens"`
	RefreshTokens []string `json:"refresh_tokens"`
	Codes         []string `json:"codes"`
}

// Secrets lists the secrets, for tests that search for leaks.
func (s *Server) Secrets() Secrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := Secrets{
		ClientSecret: s.secret,
		BasicAuth:    base64.StdEncoding.EncodeToString([]byte(s.clientID + ":" + s.secret)),
		AccessTokens: []string{}, RefreshTokens: []string{}, Codes: []string{},
	}
	for text, t := range s.tokens {
		if t.refresh {
			all.RefreshTokens = append(all.RefreshTokens, text)
		} else {
			all.AccessTokens = append(all.AccessTokens, text)
		}
	}
	for text := range s.codes {
		all.Codes = append(all.Codes, text)
	}
	slices.Sort(all.AccessTokens)
	slices.Sort(all.RefreshTokens)
	slices.Sort(all.Codes)
	return all
}
