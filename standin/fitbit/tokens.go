package fitbit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paceline/paceline/standin"
)

// Lifetimes (Fitbit Web API, OAuth2 Token and Best Practices). A refresh token
// is valid until it is used. Best Practices says that an identical refresh gets
// the same response for an interval, without its length; two minutes is the
// length that developers report.
const (
	accessLifetime = 8 * time.Hour
	codeLifetime   = 10 * time.Minute
	repeatInterval = 2 * time.Minute
)

// grant is a user's authorization of the application. A user has one valid
// refresh token and may have several access tokens (Fitbit Web API, Best
// Practices).
type grant struct {
	scopes  standin.Scopes // of the last consent
	refresh *token         // the valid one
}

// token is an issued token, valid or not.
type token struct {
	user    string
	grant   *grant
	refresh bool

	// Of an access token.
	scopes  standin.Scopes
	expires time.Time
	used    bool // in a call to the API

	// Of a refresh token that was used: the response, and the tokens in it.
	response    response
	respondedAt time.Time
	nextAccess  *token
	nextRefresh *token
}

// granted reports whether the authorization of t has not ended. The caller holds
// the lock.
func (s *Server) granted(t *token) bool {
	a := s.account(t.user)
	return a != nil && a.grant != nil && a.grant == t.grant
}

// valid reports whether t can be used. The caller holds the lock.
func (s *Server) valid(t *token) bool {
	if t == nil || !s.granted(t) {
		return false
	}
	if t.refresh {
		return t.grant.refresh == t
	}
	return s.now().Before(t.expires)
}

func (s *Server) token(c *call) response {
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

// exchange issues tokens for a code. If the user is already connected, the old
// access tokens stay valid and the old refresh token becomes invalid. An exchange
// uses up its code even if it fails; Fitbit does not document whether it does.
func (s *Server) exchange(params url.Values) response {
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
	a.grant.scopes = code.scopes
	res, _ := s.issuePair(a)
	return res
}

// refresh issues a new pair for the valid refresh token. An identical refresh
// gets the same response for a while, unless a token of that response was used
// in the meantime (Fitbit Web API, Best Practices).
func (s *Server) refresh(c *call) response {
	presented := c.params.Get("refresh_token")
	if presented == "" {
		return refuseOAuth(http.StatusBadRequest, "invalid_request", "Missing parameters: refresh_token")
	}
	t := s.tokens[presented]
	switch {
	case t != nil && t.refresh && s.valid(t):
		var access *token
		t.response, access = s.issuePair(s.account(t.user))
		t.respondedAt, t.nextAccess, t.nextRefresh = s.now(), access, t.grant.refresh
		return t.response
	case t != nil && s.repeatable(t):
		s.repeated[t.user]++
		return t.response
	case t != nil && t.refresh:
		s.refused[t.user]++
	}
	return refuseOAuth(http.StatusBadRequest, "invalid_grant", "Refresh token invalid: %s", presented)
}

// repeatable reports whether another refresh with t, which was used, gets the
// same response.
func (s *Server) repeatable(t *token) bool {
	return t.nextAccess != nil && s.valid(t.nextRefresh) && !t.nextAccess.used && s.now().Sub(t.respondedAt) < repeatInterval
}

// issuePair issues a new pair. The old access tokens stay valid; the old refresh
// token becomes invalid.
func (s *Server) issuePair(a *account) (res response, access *token) {
	now := s.now().Truncate(time.Second)
	access = &token{user: a.ID, grant: a.grant, scopes: a.grant.scopes, expires: now.Add(accessLifetime)}
	accessText, refreshText := s.newAccessToken(access, now), s.newSecret(32)
	a.grant.refresh = &token{user: a.ID, grant: a.grant, refresh: true}
	s.tokens[accessText], s.tokens[refreshText] = access, a.grant.refresh
	return jsonResponse(http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"refresh_token"`
		Scope        string `json:"scope"`
		TokenType    string `json:"token_type"`
		UserID       string `json:"user_id"`
	}{accessText, int(accessLifetime.Seconds()), refreshText, strings.Join(a.grant.scopes, " "), "Bearer", a.ID}), access
}

// newAccessToken returns a JWT with the claims of a recorded one, because
// Fitbit's access tokens are JWTs. Its signature is random: clients cannot verify
// it.
func (s *Server) newAccessToken(t *token, issued time.Time) string {
	claims, err := json.Marshal(map[string]any{
		"aud": s.clientID, "sub": t.user, "iss": provider, "typ": "access_token", "scopes": strings.Join(t.scopes, " "),
		"iat": issued.Unix(), "exp": t.expires.Unix(),
	})
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	var signature [32]byte
	_, _ = s.random.Read(signature[:]) // never fails
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"HS256"}`)) + "." + encode(claims) + "." + encode(signature[:])
}

// revoke ends an authorization by either token (Fitbit Web API, Revoke Token).
// Fitbit was seen to refuse an invalid token, although RFC 7009 requires success.
func (s *Server) revoke(c *call) response {
	presented := c.params.Get("token")
	if presented == "" {
		return refuseOAuth(http.StatusBadRequest, "invalid_request", "Missing parameters: token")
	}
	t := s.tokens[presented]
	if !s.valid(t) {
		return refuseOAuth(http.StatusUnauthorized, "invalid_token", "Token invalid: %s", presented)
	}
	s.account(t.user).grant = nil
	return response{Status: http.StatusOK}
}

// Secrets lists the application's secret and all tokens and codes that were ever
// issued.
type Secrets = standin.Secrets

// Secrets returns the secrets, for tests that search for leaks.
func (s *Server) Secrets() Secrets {
	s.mu.Lock()
	defer s.mu.Unlock()
	return standin.NewSecrets(s.clientID, s.secret, func(yield func(string, bool) bool) {
		for text, t := range s.tokens {
			if !yield(text, t.refresh) {
				return
			}
		}
	}, maps.Keys(s.codes))
}
