package handler

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// maxSessionCookies bounds how many cookies of the session's name are looked up
// for one call. A well-behaved browser sends one.
const maxSessionCookies = 3

// Authorizer identifies the session or key of a call to the HTTP API. It lets
// every call pass, with an identity or with the reason why there is none, which
// the route returns; see package api.
type Authorizer struct {
	Authenticator *credentials.Authenticator
	Cookies       Cookies
	Log           *slog.Logger
}

// Handle implements the Lambda authorizer (payload 2.0, simple response). A
// bearer token takes precedence over cookies.
func (a *Authorizer) Handle(ctx context.Context, req events.APIGatewayV2CustomAuthorizerV2Request) (events.APIGatewayV2CustomAuthorizerSimpleResponse, error) {
	ctx, cancel := startup.WithMargin(ctx)
	defer cancel()
	res := events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: true}
	kind, tokens := credentials.SessionCredential, a.Cookies.read(req.Cookies, req.Headers, sessionCookie)
	if key, ok := bearer(req.Headers); ok {
		kind, tokens = credentials.KeyCredential, []secret.String{key}
	}
	// A call that changes something needs the caller's present identity.
	fresh := !strings.HasPrefix(req.RouteKey, http.MethodGet+" ")
	refusal, receipt := api.NoSession, ""
	for _, token := range tokens[:min(len(tokens), maxSessionCookies)] {
		caller, err := a.Authenticator.Authenticate(ctx, kind, token, fresh)
		if err == nil {
			res.Context = api.Identity{
				AthleteID: caller.AthleteID, Generation: caller.Generation, Key: kind == credentials.KeyCredential,
			}.Context()
			return res, nil
		}
		refused, erasure := refusalOf(kind, err)
		if receipt == "" || refused == api.Unavailable {
			refusal, receipt = refused, erasure
		}
		if refused == api.Unavailable {
			a.Log.ErrorContext(ctx, "the caller cannot be identified", "route", req.RouteKey, "error", err.Error())
			break // Another lookup would hang or fail, too.
		}
	}
	res.Context = refusal.Context(receipt)
	return res, nil
}

// refusalOf returns the refusal that an error of Authenticate stands for.
func refusalOf(kind credentials.CredentialKind, err error) (_ api.Refusal, receipt string) {
	ended, isEnded := errors.AsType[*credentials.RevokedError](err)
	switch isKey := kind == credentials.KeyCredential; {
	case isEnded && isKey:
		return api.RevokedKey, ended.Receipt
	case isEnded:
		return api.NoSession, ended.Receipt
	case errors.Is(err, credentials.ErrUnknownCredential) && isKey:
		return api.UnknownKey, ""
	case errors.Is(err, credentials.ErrExpiredCredential) && isKey:
		return api.ExpiredKey, ""
	case fault.Is(err, fault.NotFound):
		return api.NoSession, ""
	}
	return api.Unavailable, ""
}

// bearer returns the request's bearer token (RFC 6750, 2.1).
func bearer(header map[string]string) (secret.String, bool) {
	scheme, token, _ := strings.Cut(header["authorization"], " ")
	return secret.New(strings.TrimSpace(token)), strings.EqualFold(scheme, "Bearer")
}
