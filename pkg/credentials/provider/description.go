package provider

import (
	"encoding/json"

	"github.com/paceline/paceline/pkg/credentials"
)

// Description has the properties in which a provider's authorization server
// differs from others.
type Description struct {
	credentials.Rules
	// The endpoints of RFC 6749 and RFC 7009.
	AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint string
	// DeauthorizationEndpoint, unless empty, is used in place of the
	// RevocationEndpoint: it ends the authorization of a valid access token,
	// which it takes in the Authorization header.
	DeauthorizationEndpoint string
	// BasicAuth has the client authenticate at the token endpoint by HTTP Basic,
	// and not by form fields (RFC 6749, section 2.3.1).
	BasicAuth bool
	// PKCE binds codes to the browser that began the connect (RFC 7636, S256).
	PKCE bool
	// Scopes are asked for, joined by ScopeSeparator.
	Scopes         []string
	ScopeSeparator string
	// AccountID returns the account id in the members of the response to a code;
	// empty if it is not there.
	AccountID func(answer map[string]json.RawMessage) string
	// ProfileURL, unless empty, is the URL of the profile of an access token's
	// account. Its member "id" names the account if the response to a code does
	// not.
	ProfileURL string
	// Meaning returns what a response other than 200 means.
	Meaning func(status int, body []byte) Meaning
}

// Meaning is what an unsuccessful response means.
type Meaning int

// The meanings.
const (
	// Unclear is every response without a known meaning. It must not end an
	// authorization: the call may be repeated.
	Unclear Meaning = iota
	// GrantRefused: the code or the token that was presented is not valid.
	GrantRefused
	// AppRefused: the application's own credentials are refused, or it has lost
	// access.
	AppRefused
	// AppFull: the application has as many accounts as it may have.
	AppFull
)

// Names of all providers that are described here.
var Names = []string{credentials.ProviderStrava, NameFitbit}
