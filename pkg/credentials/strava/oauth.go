package strava

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// OAuth is Strava's authorization server (Strava, "Authentication").
type OAuth struct {
	client *http.Client
	base   string
}

// NewOAuth makes a client for the server at base, which has /authorize,
// /token and /revoke under it.
func NewOAuth(client *http.Client, base string) *OAuth {
	return &OAuth{client, strings.TrimSuffix(base, "/")}
}

// AuthorizeURL implements [credentials.OAuth].
func (o *OAuth) AuthorizeURL(clientID, redirectURI, state string, scopes []string) string {
	return o.base + "/authorize?" + url.Values{
		"client_id":       {clientID},
		"redirect_uri":    {redirectURI},
		"response_type":   {"code"},
		"approval_prompt": {"auto"},
		"scope":           {strings.Join(scopes, ",")},
		"state":           {state},
	}.Encode()
}

// tokenAnswer is the token endpoint's. The athlete comes with a code only,
// the scope since April 2026.
type tokenAnswer struct {
	AccessToken  string  `json:"access_token"`
	RefreshToken string  `json:"refresh_token"`
	ExpiresAt    float64 `json:"expires_at"`
	Scope        string  `json:"scope"`
	Athlete      struct {
		ID int64 `json:"id"`
	} `json:"athlete"`
}

// Exchange implements [credentials.OAuth].
func (o *OAuth) Exchange(ctx context.Context, app credentials.App, code secret.String) (credentials.Authorization, error) {
	t, err := o.token(ctx, app, url.Values{"grant_type": {"authorization_code"}, "code": {code.Reveal()}})
	if err != nil {
		return credentials.Authorization{}, err
	}
	if t.Athlete.ID <= 0 {
		return credentials.Authorization{}, fault.New(fault.Transient, "Strava's token answer names no athlete")
	}
	return credentials.Authorization{
		AthleteID: t.Athlete.ID,
		Tokens:    t.pair(),
		Scopes:    strings.FieldsFunc(t.Scope, func(r rune) bool { return r == ',' || r == ' ' }),
	}, nil
}

// Refresh implements [credentials.OAuth].
func (o *OAuth) Refresh(ctx context.Context, app credentials.App, refresh secret.String) (credentials.TokenPair, error) {
	t, err := o.token(ctx, app, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh.Reveal()}})
	if err != nil {
		return credentials.TokenPair{}, err
	}
	return t.pair(), nil
}

func (t tokenAnswer) pair() credentials.TokenPair {
	return credentials.TokenPair{
		Access:    secret.New(t.AccessToken),
		Refresh:   secret.New(t.RefreshToken),
		ExpiresAt: time.Unix(int64(t.ExpiresAt), 0).UTC(),
	}
}

func (o *OAuth) token(ctx context.Context, app credentials.App, values url.Values) (tokenAnswer, error) {
	values.Set("client_id", app.ClientID)
	values.Set("client_secret", app.ClientSecret.Reveal())
	req, err := form(http.MethodPost, o.base+"/token", values)
	if err != nil {
		return tokenAnswer{}, err
	}
	a, err := do(ctx, o.client, tokenTimeout, req)
	if err != nil {
		return tokenAnswer{}, err
	}
	if a.status != http.StatusOK {
		return tokenAnswer{}, refusal(a)
	}
	var t tokenAnswer
	if json.Unmarshal(a.body, &t) != nil || t.AccessToken == "" || t.RefreshToken == "" || t.ExpiresAt <= 0 {
		return tokenAnswer{}, fault.New(fault.Transient, "Strava's token answer is not one")
	}
	return t, nil
}

// Revoke implements [credentials.OAuth] by RFC 7009, as Strava offers it since
// June 2026. Revoking either token revokes the other; both are tried, because a
// refresh token that was replaced is dead while its access token lives on.
func (o *OAuth) Revoke(ctx context.Context, app credentials.App, pair credentials.TokenPair) error {
	for _, t := range []struct {
		token secret.String
		hint  string
	}{{pair.Refresh, "refresh_token"}, {pair.Access, "access_token"}} {
		req, err := form(http.MethodPost, o.base+"/revoke", url.Values{"token": {t.token.Reveal()}, "token_type_hint": {t.hint}})
		if err != nil {
			return err
		}
		req.SetBasicAuth(app.ClientID, app.ClientSecret.Reveal())
		a, err := do(ctx, o.client, tokenTimeout, req)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			return refusal(a)
		}
	}
	return nil
}
