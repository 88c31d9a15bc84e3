package standin

import (
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Scopes are OAuth scopes in the order in which they were requested.
type Scopes []string

// Has reports whether scope is one of s.
func (s Scopes) Has(scope string) bool { return slices.Contains(s, scope) }

// Without returns the scopes of s that are not in other.
func (s Scopes) Without(other Scopes) Scopes {
	return slices.DeleteFunc(slices.Clone(s), other.Has)
}

// And returns the scopes of s that are in other, too.
func (s Scopes) And(other Scopes) Scopes { return s.Without(s.Without(other)) }

// BearerToken returns the token of the Authorization header, or "".
func BearerToken(r *http.Request) string {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// Consent is the page on which a person allows or denies what an application
// requests.
type Consent struct {
	Provider string     // such as "Strava"
	Action   string     // the path of the authorize page
	Query    url.Values // of the request; the page sends it again
	// AccountParam is the query parameter with the id of the chosen account.
	AccountParam string
	Accounts     []ConsentAccount
	Hidden       int    // accounts that the page does not list
	Noun         string // the provider's word for an account's owner, such as "athlete"
	Scopes       Scopes
	Allow, Deny  string // the texts of the buttons
}

// ConsentAccount is one account that a person can choose.
type ConsentAccount struct {
	ID        string
	Name      string
	Connected bool
}

//go:embed consent.html
var consentHTML string

var consentPage = template.Must(template.New("consent").Parse(consentHTML))

// Response returns the page.
func (c Consent) Response() Response {
	var page strings.Builder
	if err := consentPage.Execute(&page, c); err != nil {
		panic(err) // a strings.Builder cannot fail
	}
	return HTML(http.StatusOK, page.String())
}
