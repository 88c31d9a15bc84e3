package provider

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// timeout of a call, well within that of the functions that make it. It is
// long, because a token in a late response may be lost.
const timeout = 20 * time.Second

// OAuth is a provider's authorization server.
type OAuth struct {
	client *http.Client
	Description
	now func() time.Time
}

// NewOAuth returns a client of the provider that d describes.
func NewOAuth(client *http.Client, d Description, now func() time.Time) *OAuth {
	return &OAuth{client, d, now}
}

// Rules implements [credentials.OAuth].
func (o *OAuth) Rules() credentials.Rules { return o.Description.Rules }

// accountID matches valid account ids: they become part of the names of stored
// things.
var accountID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// AuthorizeURL implements [credentials.OAuth].
func (o *OAuth) AuthorizeURL(clientID, redirectURI, state string, verifier secret.String) string {
	q := url.Values{
		"client_id":     {clientID},
		"redirect_uri":  {redirectURI},
		"response_type": {"code"},
		"scope":         {strings.Join(o.Scopes, o.ScopeSeparator)},
		"state":         {state},
	}
	if o.PKCE {
		challenge := sha256.Sum256([]byte(verifier.Reveal()))
		q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
		q.Set("code_challenge_method", "S256")
	}
	return o.AuthorizationEndpoint + "?" + q.Encode()
}

// Exchange implements [credentials.OAuth].
func (o *OAuth) Exchange(ctx context.Context, app credentials.App, redirectURI string, code, verifier secret.String) (credentials.TokenResponse, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code.Reveal()}, "redirect_uri": {redirectURI}}
	if o.PKCE {
		form.Set("code_verifier", verifier.Reveal())
	}
	auth, answer, err := o.token(ctx, app, form)
	if errors.Is(err, errRefused) {
		return credentials.TokenResponse{}, credentials.ErrCodeRefused
	}
	if err != nil {
		return credentials.TokenResponse{}, err
	}
	auth.Account = credentials.Account{Provider: o.Provider, ID: o.AccountID(answer)}
	if !accountID.MatchString(auth.Account.ID) && o.ProfileURL != "" {
		auth.Account.ID = o.profileID(ctx, auth.Tokens.Access)
	}
	if !accountID.MatchString(auth.Account.ID) {
		// Without an account the tokens cannot be stored.
		err := fault.New(fault.Transient, "%s's token response names no account", o.Provider)
		return credentials.TokenResponse{}, errors.Join(err, o.Revoke(ctx, app, auth.Tokens))
	}
	return auth, nil
}

// profileID returns the id in the profile of an access token's account; empty
// if there is no usable response.
func (o *OAuth) profileID(ctx context.Context, access secret.String) string {
	req, err := httpcall.Form(http.MethodGet, o.ProfileURL, nil)
	if err != nil {
		return ""
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	answer, err := httpcall.Do(ctx, o.client, timeout, req)
	if err != nil || answer.Status != http.StatusOK {
		return ""
	}
	return identifier(readTokenResponse(answer.Body)["id"])
}

// Refresh implements [credentials.OAuth].
func (o *OAuth) Refresh(ctx context.Context, app credentials.App, refresh secret.String) (credentials.TokenPair, error) {
	auth, _, err := o.token(ctx, app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh.Reveal()}})
	if errors.Is(err, errRefused) {
		return credentials.TokenPair{}, credentials.ErrTokenRefused
	}
	return auth.Tokens, err
}

// Revoke implements [credentials.OAuth], by RFC 7009 unless the provider is
// described otherwise. Revoking either token revokes the other. It tries both,
// because a refresh token that was replaced is invalid while its access token
// still works.
func (o *OAuth) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) error {
	if o.DeauthorizationEndpoint != "" {
		return o.deauthorize(ctx, pair.Access)
	}
	for _, t := range []struct {
		token secret.String
		hint  string
	}{{pair.Refresh, "refresh_token"}, {pair.Access, "access_token"}} {
		form := url.Values{"token": {t.token.Reveal()}, "token_type_hint": {t.hint}}
		answer, err := o.post(ctx, app, o.RevocationEndpoint, form, true)
		if err == nil {
			err = o.checkRevocation(answer)
		}
		if err != nil && !errors.Is(err, errRefused) {
			return err
		}
	}
	return nil
}

// deauthorize revokes by the deauthorization endpoint, which takes an access
// token.
func (o *OAuth) deauthorize(ctx context.Context, access secret.String) error {
	req, err := httpcall.Form(http.MethodPost, o.DeauthorizationEndpoint, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+access.Reveal())
	answer, err := httpcall.Do(ctx, o.client, timeout, req)
	if err == nil && answer.Status == http.StatusUnauthorized {
		return credentials.ErrAccessTokenInvalid
	}
	if answer, err = o.read(answer, err); err != nil {
		return err
	}
	return o.checkRevocation(answer)
}

// checkRevocation returns a transient fault if a successful response is not the
// endpoint's: the page of an edge server, or an error under a wrong status. Any
// other body counts for nothing (RFC 7009, 2.2).
func (o *OAuth) checkRevocation(answer httpcall.Answer) error {
	var body struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(answer.Body, &body) // What is not such an object has no message.
	if body.Message != "" || bytes.HasPrefix(bytes.TrimSpace(answer.Body), []byte("<")) {
		return fault.New(fault.Transient, "%s's response to a revocation is another page or an error", o.Provider)
	}
	return nil
}

// token calls the token endpoint.
func (o *OAuth) token(ctx context.Context, app credentials.App, form url.Values) (credentials.TokenResponse, tokenResponse, error) {
	asked := o.now()
	response, err := o.post(ctx, app, o.TokenEndpoint, form, o.BasicAuth)
	if err != nil {
		return credentials.TokenResponse{}, nil, err
	}
	answer := readTokenResponse(response.Body)
	access, refresh := answer.text("access_token"), answer.text("refresh_token")
	if access == "" || refresh == "" {
		return credentials.TokenResponse{}, nil, answerLost(fault.New(fault.Transient, "%s's token response has no tokens", o.Provider))
	}
	return credentials.TokenResponse{
		Tokens: credentials.TokenPair{
			Access: secret.New(access), Refresh: secret.New(refresh),
			ExpiresAt: answer.expiry(asked, o.RefreshMargin).Truncate(time.Second).UTC(), IssuedAt: asked.UTC(),
		},
		Scopes:     answer.scopes(),
		AnsweredAt: date(response.Header),
	}, answer, nil
}

// date returns when a response was made (RFC 9110, 6.6.1); zero if it does not say.
func date(h http.Header) time.Time {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// answerLost marks a transient fault after which it is unknown whether the
// provider did what was requested.
func answerLost(err error) error {
	return fault.New(fault.Transient, "%w: %w", credentials.ErrAnswerLost, err)
}

// errRefused means that the code or token that was presented is not valid.
var errRefused = errors.New("refused")

// post sends a form as the application and returns a successful response.
// Errors: errRefused, [credentials.ErrAppRefused], [credentials.ErrAppFull], or
// a transient fault.
func (o *OAuth) post(ctx context.Context, app credentials.App, target string, form url.Values, basic bool) (httpcall.Answer, error) {
	if !basic {
		form.Set("client_id", app.ClientID)
		form.Set("client_secret", app.ClientSecret.Reveal())
	}
	req, err := httpcall.Form(http.MethodPost, target, form)
	if err != nil {
		return httpcall.Answer{}, err
	}
	if basic {
		req.SetBasicAuth(app.ClientID, app.ClientSecret.Reveal())
	}
	return o.read(httpcall.Do(ctx, o.client, timeout, req))
}

// read returns a successful response, or the error that any other
// response stands for.
func (o *OAuth) read(answer httpcall.Answer, err error) (httpcall.Answer, error) {
	switch {
	case err != nil:
		return httpcall.Answer{}, answerLost(err)
	case answer.Status == http.StatusBadGateway, answer.Status == http.StatusGatewayTimeout:
		// The server behind the gateway may have done what was requested.
		return httpcall.Answer{}, answerLost(fault.New(fault.Transient, "%s answered with status %d", o.Provider, answer.Status))
	case answer.Status/100 == 2:
		return answer, nil
	}
	switch o.Meaning(answer.Status, answer.Body) {
	case GrantRefused:
		return httpcall.Answer{}, errRefused
	case AppRefused:
		return httpcall.Answer{}, credentials.ErrAppRefused
	case AppFull:
		return httpcall.Answer{}, credentials.ErrAppFull
	}
	return httpcall.Answer{}, fault.New(fault.Transient, "%s answered with status %d", o.Provider, answer.Status)
}
