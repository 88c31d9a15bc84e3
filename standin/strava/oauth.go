package strava

import (
	"cmp"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Lifetimes (Strava, Authentication; it calls a code only "short-lived").
const (
	accessLifetime   = 6 * time.Hour
	refreshThreshold = time.Hour
	codeLifetime     = 5 * time.Minute
	lenientCodeLife  = time.Hour
)

// The scopes of Strava, in the order of its documentation.
var knownScopes = scopes{
	"read", "read_all", "profile:read_all", "profile:write",
	"activity:read", "activity:read_all", "activity:write",
}

// scopes is a list of scopes in the order they were asked for.
type scopes []string

// parseScopes splits at commas or spaces.
func parseScopes(s string) scopes {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func (s scopes) String() string { return strings.Join(s, ",") }

func (s scopes) has(scope string) bool { return slices.Contains(s, scope) }

func (s scopes) readsActivities() bool {
	return s.has("activity:read") || s.has("activity:read_all")
}

// code is an authorization code.
type code struct {
	athlete int64
	scope   scopes
	expires time.Time // zero once used
}

// grant is an athlete's authorization of the application.
type grant struct {
	scope   scopes
	refresh string        // the one that works
	access  []accessToken // in order of issue; expired ones may remain
}

type accessToken struct {
	token   string
	expires time.Time
}

// sees tells whether the application may know of the activity; a nil grant sees nothing.
func (g *grant) sees(a activity) bool {
	return g != nil && g.scope.readsActivities() && (a.visibility != OnlyMe || g.scope.has("activity:read_all"))
}

// live tells whether token is an access token of g that has not expired.
func (g *grant) live(token string, now time.Time) bool {
	return g != nil && slices.ContainsFunc(g.access, func(a accessToken) bool {
		return a.token == token && now.Before(a.expires)
	})
}

// issuedToken says whose a token is, or was. It is kept when the token dies.
type issuedToken struct {
	athlete int64
	grant   *grant
	refresh bool
}

func (s *Server) routeOAuth() {
	paramsOnly := func(c *call) { c.params = readParams(c.Request, true) }
	oauth := func(name string, identify func(*call), serve func(*call) answer, patterns ...string) {
		s.route(endpoint{name: name, identify: identify, serve: s.app(serve)}, patterns...)
	}
	oauth(EndpointAuthorize, paramsOnly, s.authorize,
		"GET /oauth/authorize", "GET /oauth/mobile/authorize", "GET /api/v3/oauth/authorize")
	oauth(EndpointExchange, s.identifyGrant, s.token,
		"POST /oauth/token", "POST /api/v3/oauth/token")
	oauth(EndpointRevoke, s.identifyToken, s.revoke,
		"POST /oauth/revoke", "POST /api/v3/oauth/revoke")
	oauth(EndpointDeauthorize, s.identifyToken, s.deauthorize,
		"POST /oauth/deauthorize", "POST /api/v3/oauth/deauthorize")
}

// app wraps the endpoints that are the application's own: faults and an
// inactive application apply, limits do not.
func (s *Server) app(serve func(*call) answer) func(*call) answer {
	return func(c *call) answer {
		if a := faultKinds[c.fault.Kind].answer; a.status != 0 {
			return a
		}
		if s.Settings().Inactive {
			return appInactive()
		}
		return serve(c)
	}
}

// identifyGrant tells a refresh from an exchange.
func (s *Server) identifyGrant(c *call) {
	c.params = readParams(c.Request, false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.params.Get("grant_type") == "refresh_token" {
		c.endpoint = EndpointRefresh
		c.athlete = s.tokens[c.params.Get("refresh_token")].athlete
	} else if code := s.codes[c.params.Get("code")]; code != nil {
		c.athlete = code.athlete
	}
}

func (s *Server) identifyToken(c *call) {
	c.params = readParams(c.Request, false)
	if !c.params.Has("token") {
		token := c.params.Get("access_token")
		if token == "" {
			token = bearer(c.Request)
		}
		c.params.Set("token", token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.athlete = s.tokens[c.params.Get("token")].athlete
}

func bearer(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

//go:embed consent.html
var consentHTML string

var consentPage = template.Must(template.New("consent").Parse(consentHTML))

// shownAthletes is how many athletes the consent page offers.
const shownAthletes = 200

// authorize shows the consent screen, or acts on it: as_athlete says who
// answers, deny or accept_scope what they answer.
func (s *Server) authorize(c *call) answer {
	q := c.params
	redirect, err := url.Parse(q.Get("redirect_uri"))
	requested := parseScopes(q.Get("scope"))
	switch {
	case q.Get("client_id") != strconv.FormatInt(s.appID, 10):
		return badRequest("Application", "client_id", "invalid")
	case err != nil || !s.allowsRedirect(redirect):
		return badRequest("Application", "redirect_uri", "invalid")
	case q.Get("response_type") != "code":
		return badRequest("Application", "response_type", "invalid")
	case len(requested) == 0 || slices.ContainsFunc(requested, func(s string) bool { return !knownScopes.has(s) }):
		return badRequest("Application", "scope", "invalid")
	case !slices.Contains([]string{"", "auto", "force"}, q.Get("approval_prompt")):
		return badRequest("Application", "approval_prompt", "invalid")
	}
	back := redirect.Query()
	if q.Has("state") {
		back.Set("state", q.Get("state"))
	}
	if q.Has("deny") {
		back.Set("error", "access_denied")
		return redirectTo(redirect, back)
	}
	if !q.Has("as_athlete") {
		return s.consent(q, requested)
	}
	accepted := requested
	if q.Has("accept_scope") { // once, comma-separated, or once for each ticked box
		ticked := parseScopes(strings.Join(q["accept_scope"], ","))
		accepted = slices.DeleteFunc(slices.Clone(requested), func(s string) bool { return !ticked.has(s) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	athlete, _ := strconv.ParseInt(q.Get("as_athlete"), 10, 64) // 0 is nobody
	a, err := s.population.account(athlete)
	if err != nil {
		return badRequest("Athlete", "as_athlete", "invalid")
	}
	c.athlete = athlete
	if s.settings.CapacityAtAuthorize && s.full(a) {
		return htmlAnswer(http.StatusForbidden, "<!DOCTYPE html><html><head><title>Strava</title></head><body><h1>Error 403: Limit of connected athletes exceeded</h1>"+
			"<p>This app has exceeded the limit of connected athletes.</p></body></html>")
	}
	back.Set("code", s.issueCode(athlete, accepted))
	back.Set("scope", accepted.String())
	return redirectTo(redirect, back)
}

// allowsRedirect checks the application's callback domain.
func (s *Server) allowsRedirect(u *url.URL) bool {
	host := u.Hostname()
	return (u.Scheme == "http" || u.Scheme == "https") && host != "" &&
		(host == "localhost" || host == "127.0.0.1" || host == s.callbackDomain)
}

func redirectTo(u *url.URL, query url.Values) answer {
	to := *u
	to.RawQuery = query.Encode()
	return answer{status: http.StatusFound, header: http.Header{"Location": {to.String()}}}
}

func (s *Server) consent(q url.Values, requested scopes) answer {
	q.Del("accept_scope")
	data := struct {
		Athletes  []AthleteStatus
		Query     url.Values
		Requested scopes
		More      int
	}{Athletes: s.Athletes(), Query: q, Requested: requested}
	if n := len(data.Athletes); n > shownAthletes {
		data.Athletes, data.More = data.Athletes[:shownAthletes], n-shownAthletes
	}
	var page strings.Builder
	if err := consentPage.Execute(&page, data); err != nil {
		panic(err) // a strings.Builder cannot fail
	}
	return htmlAnswer(http.StatusOK, page.String())
}

// full tells whether connecting a would exceed the application's capacity,
// which counts authorized athletes.
func (s *Server) full(a *account) bool {
	return a.grant == nil && s.population.connected() >= s.settings.Capacity
}

func (s *Server) issueCode(athlete int64, scope scopes) string {
	token := s.newSecret()
	life := cmp.Or(time.Duration(s.settings.CodeLife), codeLifetime)
	if s.settings.Lenient && s.settings.CodeLife == 0 {
		life = lenientCodeLife
	}
	s.codes[token] = &code{athlete, scope, s.clock.Now().Add(life)}
	return token
}

// Authorize lets an athlete consent without a browser and returns the code
// that the redirect would carry.
func (s *Server) Authorize(athlete int64, scope ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.population.account(athlete); err != nil {
		return "", err
	}
	return s.issueCode(athlete, scope), nil
}

// tokenResponse is Strava's answer to both grant types. Scope and Athlete come
// with a code only; scope since 2026-04-23 (Strava, Changelog).
type tokenResponse struct {
	TokenType    string          `json:"token_type"`
	ExpiresAt    int64           `json:"expires_at"`
	ExpiresIn    int64           `json:"expires_in"`
	RefreshToken string          `json:"refresh_token"`
	AccessToken  string          `json:"access_token"`
	Athlete      *summaryAthlete `json:"athlete,omitempty"`
	Scope        *string         `json:"scope,omitempty"`
}

func (s *Server) token(c *call) answer {
	if a, ok := s.checkClient(c.params); !ok {
		return a
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.params.Get("grant_type") {
	case "authorization_code":
		return s.exchange(c.params.Get("code"))
	case "refresh_token":
		return s.refresh(c.params.Get("refresh_token"))
	}
	return badRequest("Application", "grant_type", "invalid")
}

// exchange turns a code into a grant. An athlete who is connected already gets
// a new access token of the new scope, and a refresh token by the rotation.
func (s *Server) exchange(token string) answer {
	code, ok := s.codes[token]
	if !ok || !s.clock.Now().Before(code.expires) {
		return badRequest("RequestToken", "code", "invalid")
	}
	a := s.population.accounts[code.athlete]
	if s.full(a) {
		return refuse(http.StatusForbidden, "Limit of connected athletes exceeded")
	}
	code.expires = time.Time{} // used; kept for the list of secrets
	if a.grant == nil {
		a.grant = &grant{}
		a.grant.refresh = s.issueToken(a, true)
	} else {
		s.rotate(a)
	}
	a.grant.scope = code.scope
	response := s.tokenResponse(s.newAccess(a), a.grant.refresh)
	athlete, scope := a.summary(), code.scope.String()
	response.Athlete, response.Scope = &athlete, &scope
	return jsonAnswer(http.StatusOK, response)
}

// refresh follows Strava's rules: with more than an hour left the newest access
// token comes back, otherwise a new one beside it; the refresh token may be
// replaced on every success, and then the old one is dead at once.
func (s *Server) refresh(token string) answer {
	issued, known := s.tokens[token]
	a := s.population.accounts[issued.athlete]
	if !known || !issued.refresh || a.grant == nil || a.grant.refresh != token {
		if known && issued.refresh {
			s.counters.deadRefresh[issued.athlete]++
		}
		return badRequest("RefreshToken", "refresh_token", "invalid")
	}
	newest := a.grant.access[len(a.grant.access)-1]
	if newest.expires.Sub(s.clock.Now()) <= refreshThreshold {
		newest = s.newAccess(a)
	}
	s.rotate(a)
	return jsonAnswer(http.StatusOK, s.tokenResponse(newest, a.grant.refresh))
}

func (s *Server) tokenResponse(access accessToken, refresh string) tokenResponse {
	return tokenResponse{
		TokenType:    "Bearer",
		ExpiresAt:    access.expires.Unix(),
		ExpiresIn:    access.expires.Unix() - s.clock.Now().Unix(),
		RefreshToken: refresh,
		AccessToken:  access.token,
	}
}

func (s *Server) issueToken(a *account, refresh bool) string {
	token := s.newSecret()
	s.tokens[token] = issuedToken{a.ID, a.grant, refresh}
	return token
}

func (s *Server) newAccess(a *account) accessToken {
	now := s.clock.Now()
	access := accessToken{s.issueToken(a, false), now.Truncate(time.Second).Add(accessLifetime)}
	a.grant.access = slices.DeleteFunc(a.grant.access, func(old accessToken) bool { return !now.Before(old.expires) })
	a.grant.access = append(a.grant.access, access)
	return access
}

func (s *Server) rotate(a *account) {
	switch s.settings.Rotation {
	case RotateNever:
		return
	case RotateRandom:
		if s.rng.Uint64()%2 == 0 {
			return
		}
	}
	a.grant.refresh = s.issueToken(a, true)
}

// revoke is RFC 7009 as Strava has it since June 2026: Basic authentication,
// either token, and success for a token it does not know.
func (s *Server) revoke(c *call) answer {
	id, secret, ok := c.BasicAuth()
	if _, valid := s.checkClient(url.Values{"client_id": {id}, "client_secret": {secret}}); !ok || !valid {
		return unauthorized("Application", "", "invalid")
	}
	if c.params.Get("token") == "" {
		return badRequest("Application", "token", "missing")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := c.params.Get("token")
	if a := s.population.accounts[c.athlete]; a != nil && a.grant != nil {
		// A superseded refresh token and an expired access token are no tokens
		// any more. Whether Strava still knows an expired one is not told.
		if a.grant.refresh == token || a.grant.live(token, s.clock.Now()) {
			s.disconnectAthlete(a, s.settings.SilentRevoke)
		}
	}
	return answer{status: http.StatusOK}
}

// deauthorize is the older way, which needs a live access token.
func (s *Server) deauthorize(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := c.params.Get("token")
	a := s.population.accounts[c.athlete]
	if a == nil || !a.grant.live(token, s.clock.Now()) {
		return deadToken()
	}
	s.disconnectAthlete(a, s.settings.SilentRevoke)
	return jsonAnswer(http.StatusOK, map[string]string{"access_token": token})
}

// disconnectAthlete ends a grant: every token of it is dead.
func (s *Server) disconnectAthlete(a *account, silent bool) {
	a.grant = nil
	if !silent {
		s.emit(deauthorizationEvent(a.ID))
	}
}

// Deauthorize lets an athlete remove the application on Strava's site. It
// returns ErrNotFound when the athlete is unknown or not connected.
func (s *Server) Deauthorize(athlete int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return err
	}
	if a.grant == nil {
		return fmt.Errorf("grant of athlete %d: %w", athlete, ErrNotFound)
	}
	s.disconnectAthlete(a, false)
	return nil
}

// SetTokenLife makes every access token of an athlete expire left from now; 0
// makes them expired. It returns ErrNotFound as Deauthorize does.
func (s *Server) SetTokenLife(athlete int64, left time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return err
	}
	if a.grant == nil {
		return fmt.Errorf("grant of athlete %d: %w", athlete, ErrNotFound)
	}
	for i := range a.grant.access {
		a.grant.access[i].expires = s.clock.Now().Add(left)
	}
	return nil
}

// Secrets is everything that must never be found in a log, a table, a queue or
// an event: all that was ever issued or shown, dead or alive.
type Secrets struct {
	ClientSecret  string   `json:"client_secret"`
	BasicAuth     string   `json:"basic_auth"` // as POST /oauth/revoke carries id and secret
	AccessTokens  []string `json:"access_tokens"`
	RefreshTokens []string `json:"refresh_tokens"`
	Codes         []string `json:"codes"`
	VerifyTokens  []string `json:"verify_tokens"`
}

// Secrets lists the secrets, for tests that search for leaks.
func (s *Server) Secrets() Secrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret := s.Client()
	all := Secrets{
		ClientSecret:  secret,
		BasicAuth:     base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%d:%s", id, secret)),
		AccessTokens:  []string{},
		RefreshTokens: []string{},
		Codes:         []string{},
		VerifyTokens:  append([]string{}, s.verifyTokens...),
	}
	for token, issued := range s.tokens {
		if issued.refresh {
			all.RefreshTokens = append(all.RefreshTokens, token)
		} else {
			all.AccessTokens = append(all.AccessTokens, token)
		}
	}
	for token := range s.codes {
		all.Codes = append(all.Codes, token)
	}
	slices.Sort(all.AccessTokens)
	slices.Sort(all.RefreshTokens)
	slices.Sort(all.Codes)
	return all
}
