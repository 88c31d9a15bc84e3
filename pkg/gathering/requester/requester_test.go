package requester

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

func TestARequestNamesTheInvocationItComesFrom(t *testing.T) {
	for name, tc := range map[string]struct {
		ctx  context.Context
		want string
	}{
		"in a function": {
			lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd"}),
			`{"athlete_id":1,"generation":2,"path":"/athlete","correlation_id":"8476a536-e9f4-11e8-9739-2dfe598c3fcd"}`,
		},
		"elsewhere": {t.Context(), `{"athlete_id":1,"generation":2,"path":"/athlete"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var asked string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = string(body)
				_, _ = io.WriteString(w, `{"outcome":"revoked","calls":0}`)
			}))
			defer server.Close()
			client := lambda.New(lambda.Options{
				BaseEndpoint: aws.String(server.URL), Region: "us-east-1",
				Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
			})
			res, err := forward(client, "arn:aws:lambda:us-east-1:1:function:requester")(tc.ctx, credentialsv1.ForwardRequest{
				AthleteID: 1, Generation: 2, Path: "/athlete",
			})
			if err != nil || res.Outcome != credentialsv1.OutcomeRevoked || asked != tc.want {
				t.Errorf("asked %s, answered %+v, %v", asked, res, err)
			}
		})
	}
}
