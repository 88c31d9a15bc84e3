package ssm_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// TestPendingConnectsReturnsThoseItCouldRead beside a damaged parameter, and before a
// page that SSM refuses.
func TestPendingConnectsReturnsThoseItCouldRead(t *testing.T) {
	const first = `{"NextToken":"more","Parameters":[
		{"Name":"/p/received/strava/1/5","Value":"{\"account_id\":\"1\",\"received_at\":5,\"access_token\":\"a\",\"refresh_token\":\"b\"}"},
		{"Name":"/p/received/strava/2/5","Value":"damaged"},
		{"Name":"/p/received/strava/3/5","Value":"{\"account_id\":\"3\",\"received_at\":5,\"access_token\":\"c\",\"refresh_token\":\"d\"}"}]}`
	for name, tc := range map[string]struct {
		status int
		second string
		want   fault.Kind
	}{
		"damaged":   {http.StatusOK, `{"Parameters":[]}`, fault.Permanent},
		"throttled": {http.StatusBadRequest, `{"__type":"ThrottlingException"}`, fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			client := awsssm.New(awsssm.Options{
				Region: "eu-central-1", Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1,
				HTTPClient: httpClient(func(*http.Request) (*http.Response, error) {
					status, body := http.StatusOK, first
					if calls++; calls > 1 {
						status, body = tc.status, tc.second
					}
					return &http.Response{
						StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
						Body: io.NopCloser(strings.NewReader(body)),
					}, nil
				}),
			})
			received, err := ssm.New(client, "/p", "key", settings.TierStandard).PendingConnects(t.Context(), "strava")
			if !fault.Is(err, tc.want) {
				t.Errorf("got %v", err)
			}
			if len(received) != 2 || received[0].Account.ID != "1" || received[1].Account.ID != "3" {
				t.Errorf("%d read", len(received))
			}
		})
	}
}

type httpClient func(*http.Request) (*http.Response, error)

func (f httpClient) Do(r *http.Request) (*http.Response, error) { return f(r) }
