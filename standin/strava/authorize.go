package strava

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/standin"
)

// Lifetimes of codes (Strava, Authentication, which says only "short-lived").
const (
	codeLifetime        = 5 * time.Minute
	lenientCodeLifetime = time.Hour
)

// knownScopes are the scopes of Strava, in the order of its documentation.
var knownScopes = standin.Scopes{
	"read", "read_all", "profile:read_all", "profile:write",
	"activity:read", "activity:read_all", "activity:write",
}

// parseScopes splits at commas and spaces.
func parseScopes(s string) standin.Scopes {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

func formatScopes(s standin.Scopes) string { return strings.Join(s, ",") }

func readsActivities(s standin.Scopes) bool {
	return s.Has("activity:read") || s.Has("activity:read_all")
}

// code is an authorization code.
type code struct {
	athlete int64
	scopes  standin.Scopes
	expires time.Time // zero once used
}

// shownAthletes limits the athletes on the consent page.
const shownAthletes = 200

// authorize shows the consent page, or redirects as an athlete's choice there
// does. The parameter as_athlete names the athlete, and deny or accept_scope the
// choice.
func (s *Server) authorize(c *call) response {
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
	case len(requested) == 0 || len(requested.Without(knownScopes)) > 0:
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
		return standin.Redirect(*redirect, back)
	}
	if !q.Has("as_athlete") {
		return s.consent(q, requested)
	}
	accepted := requested
	if q.Has("accept_scope") { // separated by commas, or one parameter for each checked box
		accepted = requested.And(parseScopes(strings.Join(q["accept_scope"], ",")))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	athlete, _ := strconv.ParseInt(q.Get("as_athlete"), 10, 64) // no athlete has the id 0
	a, err := s.population.account(athlete)
	if err != nil {
		return badRequest("Athlete", "as_athlete", "invalid")
	}
	c.athlete = athlete
	if s.settings.CapacityAtAuthorize && s.full(a) {
		return standin.HTML(http.StatusForbidden, "<!DOCTYPE html><html><head><title>Strava</title></head><body><h1>Error 403: Limit of connected athletes exceeded</h1>"+
			"<p>This app has exceeded the limit of connected athletes.</p></body></html>")
	}
	back.Set("code", s.issueCode(athlete, accepted))
	back.Set("scope", formatScopes(accepted))
	return standin.Redirect(*redirect, back)
}

// allowsRedirect reports whether u is in the application's callback domain.
func (s *Server) allowsRedirect(u *url.URL) bool {
	host := u.Hostname()
	return (u.Scheme == "http" || u.Scheme == "https") && host != "" &&
		(host == "localhost" || host == "127.0.0.1" || host == s.callbackDomain)
}

func (s *Server) consent(q url.Values, requested standin.Scopes) response {
	q.Del("accept_scope")
	page := standin.Consent{
		Provider: provider, Action: "/oauth/authorize", Query: q, AccountParam: "as_athlete", Noun: "athlete", Scopes: requested,
		Allow: "Authorize", Deny: "Cancel",
	}
	athletes := s.Athletes()
	shown := min(len(athletes), shownAthletes)
	page.Hidden = len(athletes) - shown
	for _, a := range athletes[:shown] {
		page.Accounts = append(page.Accounts, standin.ConsentAccount{
			ID: strconv.FormatInt(a.ID, 10), Name: a.Firstname + " " + a.Lastname, Connected: a.Connected,
		})
	}
	return page.Response()
}

// full reports whether connecting a would exceed the application's capacity,
// which counts connected athletes.
func (s *Server) full(a *account) bool {
	return a.grant == nil && s.population.connected() >= s.settings.Capacity
}

func (s *Server) issueCode(athlete int64, scopes standin.Scopes) string {
	issued := s.newSecret()
	life := cmp.Or(time.Duration(s.settings.CodeLife), codeLifetime)
	if s.settings.Lenient && s.settings.CodeLife == 0 {
		life = lenientCodeLifetime
	}
	s.codes[issued] = &code{athlete, scopes, s.clock.Now().Add(life)}
	return issued
}

// Authorize consents for an athlete without a browser and returns the code that
// the redirect would carry. It returns [ErrNotFound] for an unknown athlete.
func (s *Server) Authorize(athlete int64, scope ...string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.population.account(athlete); err != nil {
		return "", err
	}
	return s.issueCode(athlete, scope), nil
}
