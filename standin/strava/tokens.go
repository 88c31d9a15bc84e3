package strava

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/paceline/paceline/standin"
)

// Lifetimes of access tokens (Strava, Authentication).
const (
	accessLifetime   = 6 * time.Hour
	refreshThreshold = time.Hour
)

// grant is an athlete's authorization of the application.
type grant struct {
	scopes  standin.Scopes
	refresh string        // the valid refresh token
	access  []accessToken // in order of issue; expired ones may remain
}

type accessToken struct {
	token   string
	expires time.Time
}

// sees reports whether the application may see the activity. A nil grant sees
// none.
func (g *grant) sees(a activity) bool {
	return g != nil && readsActivities(g.scopes) && (a.visibility != OnlyMe || g.scopes.Has("activity:read_all"))
}

// valid reports whether token is an access token of g that has not expired.
func (g *grant) valid(token string, now time.Time) bool {
	return g != nil && slices.ContainsFunc(g.access, func(a accessToken) bool {
		return a.token == token && now.Before(a.expires)
	})
}

// issuedToken is the owner of a token. It stays after the token becomes invalid.
type issuedToken struct {
	athlete int64
	grant   *grant
	refresh bool
}

func (s *Server) routeOAuth() {
	readQuery := func(c *call) { c.params = readParams(c.Request, true) }
	oauth := func(name string, identify func(*call), serve func(*call) response, patterns ...string) {
		s.route(endpoint{name: name, identify: identify, serve: s.ofApplication(serve)}, patterns...)
	}
	oauth(EndpointAuthorize, readQuery, s.authorize,
		"GET /oauth/authorize", "GET /oauth/mobile/authorize", "GET /api/v3/oauth/authorize")
	oauth(EndpointExchange, s.identifyGrant, s.token,
		"POST /oauth/token", "POST /api/v3/oauth/token")
	oauth(EndpointRevoke, s.identifyToken, s.revoke,
		"POST /oauth/revoke", "POST /api/v3/oauth/revoke")
	oauth(EndpointDeauthorize, s.identifyToken, s.deauthorize,
		"POST /oauth/deauthorize", "POST /api/v3/oauth/deauthorize")
}

// ofApplication wraps the endpoints that concern the application itself. They
// have faults and refuse an inactive application, but have no rate limits.
func (s *Server) ofApplication(serve func(*call) response) func(*call) response {
	return func(c *call) response {
		if res := faultKinds[c.fault.Kind].response; res.Status != 0 {
			return res
		}
		if s.Settings().Inactive {
			return inactiveApplication()
		}
		return serve(c)
	}
}

// checkClient compares the client id and secret in params with the application's.
// If ok is false, res refuses them.
func (s *Server) checkClient(params url.Values) (res response, ok bool) {
	switch {
	case params.Get("client_id") != strconv.FormatInt(s.appID, 10):
		return badRequest("Application", "client_id", "invalid"), false
	case params.Get("client_secret") != *s.appSecret.Load():
		return badRequest("Application", "client_secret", "invalid"), false
	}
	return response{}, true
}

// identifyGrant distinguishes a refresh from an exchange.
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

// identifyToken finds the token of a revocation: in the parameter token or
// access_token, or in the Authorization header.
func (s *Server) identifyToken(c *call) {
	c.params = readParams(c.Request, false)
	if !c.params.Has("token") {
		token := c.params.Get("access_token")
		if token == "" {
			token = standin.BearerToken(c.Request)
		}
		c.params.Set("token", token)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.athlete = s.tokens[c.params.Get("token")].athlete
}

// tokenResponse is Strava's response to both grant types. Only an exchange has
// Scope and Athlete; Scope exists since 2026-04-23 (Strava, Changelog).
type tokenResponse struct {
	TokenType    string          `json:"token_type"`
	ExpiresAt    int64           `json:"expires_at"`
	ExpiresIn    int64           `json:"expires_in"`
	RefreshToken string          `json:"refresh_token"`
	AccessToken  string          `json:"access_token"`
	Athlete      *summaryAthlete `json:"athlete,omitempty"`
	Scope        *string         `json:"scope,omitempty"`
}

func (s *Server) token(c *call) response {
	if res, ok := s.checkClient(c.params); !ok {
		return res
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

// exchange creates a grant from a code. If the athlete is already connected, it
// issues an access token with the new scopes, and a refresh token as
// Settings.Rotation says.
func (s *Server) exchange(presented string) response {
	code, ok := s.codes[presented]
	if !ok || !s.clock.Now().Before(code.expires) {
		return badRequest("RequestToken", "code", "invalid")
	}
	a := s.population.accounts[code.athlete]
	if s.full(a) {
		return refuse(http.StatusForbidden, "Limit of connected athletes exceeded")
	}
	code.expires = time.Time{} // used; it stays among the secrets
	if a.grant == nil {
		a.grant = &grant{}
		a.grant.refresh = s.issueToken(a, true)
	} else {
		s.rotate(a)
	}
	a.grant.scopes = code.scopes
	res := s.tokenResponse(s.newAccess(a), a.grant.refresh)
	athlete, scope := a.summary(), formatScopes(code.scopes)
	res.Athlete, res.Scope = &athlete, &scope
	return jsonResponse(http.StatusOK, res)
}

// refresh follows Strava's rules. If the newest access token is valid for more
// than an hour, it is returned again; otherwise a new one is issued and the old
// one stays valid. A refresh may replace the refresh token, and then the old one
// is invalid at once.
func (s *Server) refresh(presented string) response {
	issued, known := s.tokens[presented]
	a := s.population.accounts[issued.athlete]
	if !known || !issued.refresh || a.grant == nil || a.grant.refresh != presented {
		if known && issued.refresh {
			s.counters.refusedRefreshes[issued.athlete]++
		}
		return badRequest("RefreshToken", "refresh_token", "invalid")
	}
	newest := a.grant.access[len(a.grant.access)-1]
	if newest.expires.Sub(s.clock.Now()) <= refreshThreshold {
		newest = s.newAccess(a)
	}
	s.rotate(a)
	return jsonResponse(http.StatusOK, s.tokenResponse(newest, a.grant.refresh))
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

// rotate replaces the refresh token as Settings.Rotation says.
func (s *Server) rotate(a *account) {
	switch s.settings.Rotation {
	case RotateNever:
		return
	case RotateRandom:
		if s.random.Uint64()%2 == 0 {
			return
		}
	}
	a.grant.refresh = s.issueToken(a, true)
}

// revoke is RFC 7009 as Strava has it since June 2026: it needs Basic
// authentication, takes either token, and succeeds for an unknown token.
func (s *Server) revoke(c *call) response {
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
		// A superseded refresh token and an expired access token count as
		// unknown. Strava does not document whether it revokes by an expired
		// one.
		if a.grant.refresh == token || a.grant.valid(token, s.clock.Now()) {
			s.endGrant(a, s.settings.SilentRevoke)
		}
	}
	return response{Status: http.StatusOK}
}

// deauthorize is the older endpoint, which needs a valid access token.
func (s *Server) deauthorize(c *call) response {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := c.params.Get("token")
	a := s.population.accounts[c.athlete]
	if a == nil || !a.grant.valid(token, s.clock.Now()) {
		return invalidToken()
	}
	s.endGrant(a, s.settings.SilentRevoke)
	return jsonResponse(http.StatusOK, map[string]string{"access_token": token})
}

// endGrant makes every token of the athlete's grant invalid.
func (s *Server) endGrant(a *account, silent bool) {
	a.grant = nil
	if !silent {
		s.emit(deauthorizationEvent(a.ID))
	}
}

// connected returns [ErrNotFound] for an athlete who is unknown or not connected.
// The caller holds the lock.
func (s *Server) connected(athlete int64) (*account, error) {
	a, err := s.population.account(athlete)
	if err == nil && a.grant == nil {
		err = fmt.Errorf("grant of athlete %d: %w", athlete, ErrNotFound)
	}
	return a, err
}

// Deauthorize removes the application as the athlete can do on Strava's site. It
// returns [ErrNotFound] if the athlete is unknown or not connected.
func (s *Server) Deauthorize(athlete int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.connected(athlete)
	if err == nil {
		s.endGrant(a, false)
	}
	return err
}

// SetTokenLife makes every access token of an athlete expire left from now;
// with 0 they have expired. It returns [ErrNotFound] as Deauthorize does.
func (s *Server) SetTokenLife(athlete int64, left time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.connected(athlete)
	if err != nil {
		return err
	}
	for i := range a.grant.access {
		a.grant.access[i].expires = s.clock.Now().Add(left)
	}
	return nil
}

// Secrets lists the application's secret, all tokens and codes that were ever
// issued, and the verify tokens of subscriptions.
type Secrets struct {
	standin.Secrets
	VerifyTokens []string `json:"verify_tokens"`
}

// Secrets returns the secrets, for tests that search for leaks.
func (s *Server) Secrets() Secrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret := s.Client()
	all := standin.NewSecrets(strconv.FormatInt(id, 10), secret, func(yield func(string, bool) bool) {
		for token, issued := range s.tokens {
			if !yield(token, issued.refresh) {
				return
			}
		}
	}, maps.Keys(s.codes))
	return Secrets{all, append([]string{}, s.verifyTokens...)}
}
