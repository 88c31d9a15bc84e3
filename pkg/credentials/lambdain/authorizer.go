package lambdain

import (
	"context"

	"github.com/aws/aws-lambda-go/events"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// Verifier checks a session token.
type Verifier interface {
	Verify(token secret.String) (credentials.Session, error)
}

// Authorizer tells the HTTP API whose session a call belongs to. It lets every
// call pass: with an identity, or with none, which the route answers with a
// 401; see package httpapi.
type Authorizer struct{ Sessions Verifier }

// Handle implements the Lambda authorizer (payload 2.0, simple response).
func (a *Authorizer) Handle(_ context.Context, req events.APIGatewayV2CustomAuthorizerV2Request) (events.APIGatewayV2CustomAuthorizerSimpleResponse, error) {
	res := events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: true}
	token := cookie(req.Cookies, req.Headers, sessionCookie)
	if token.Empty() {
		return res, nil
	}
	s, err := a.Sessions.Verify(token)
	if err != nil {
		return res, nil
	}
	res.Context = httpapi.Identity{AthleteID: s.AthleteID, Generation: s.Generation}.Context()
	return res, nil
}
