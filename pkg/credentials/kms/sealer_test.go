package kms_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// TestOpenDistinguishesDamageFromAnOutage: a pair that no key opens is given up, while
// a key that cannot be used may come back.
func TestOpenDistinguishesDamageFromAnOutage(t *testing.T) {
	for exception, want := range map[string]fault.Kind{
		"InvalidCiphertextException": fault.Permanent,
		"IncorrectKeyException":      fault.Permanent,
		"DisabledException":          fault.Transient,
		"AccessDeniedException":      fault.Transient,
	} {
		client := awskms.New(awskms.Options{
			Region: "eu-central-1", Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1,
			HTTPClient: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
					Body: io.NopCloser(strings.NewReader(`{"__type":"` + exception + `"}`)),
				}, nil
			}),
		})
		_, err := kms.NewSealer(client, "key").Open(t.Context(), credentials.Athlete(1), []byte(`{"key":"AAAA"}`))
		if !fault.Is(err, want) {
			t.Errorf("%s: %v is %s", exception, err, fault.Of(err))
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) Do(r *http.Request) (*http.Response, error) { return f(r) }
