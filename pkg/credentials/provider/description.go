package provider

import (
	"encoding/json"

	"github.com/paceline/paceline/pkg/credentials"
)

// Description is everything in which a provider's authorization server differs
// from others.
type Description struct {
	credentials.Rules
	// The endpoints of RFC 6749 and RFC 7009.
	AuthorizationEndpoint, TokenEndpoint, RevocationEndpoint string
	// DeauthorizationEndpoint, unless empty, is used in place of the
	// RevocationEndpoint: it ends the authorization of a living access token,
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
	// AccountID finds the account in the members of the answer to a code; empty
	// when it isn't there.
	AccountID func(answer map[string]json.RawMessage) string
	// ProfileURL, unless empty, answers an access token with its account's
	// profile, whose member "id" names the account. It is asked when the answer to
	// a code does not name it.
	ProfileURL string
	// Meaning tells what an answer other than 200 means.
	Meaning func(status int, body []byte) Meaning
}

// Meaning is what an answer that is no success means.
type Meaning int

// The meanings.
const (
	// Unclear is all that isn't known to be something else. It must cost no
	// account its grant: what was asked may be asked again.
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
