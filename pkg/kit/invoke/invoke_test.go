package invoke_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/invoke"
)

type (
	question struct {
		N int `json:"n"`
	}
	answer struct {
		Doubled int `json:"doubled"`
	}
)

// doubling calls a function that answers as the handler does.
func doubling(t *testing.T, handle http.HandlerFunc) (answer, error) {
	t.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	client := lambda.New(lambda.Options{
		BaseEndpoint: aws.String(server.URL), Region: "us-east-1", RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	})
	return invoke.Function[question, answer](client, "arn:aws:lambda:us-east-1:1:function:double", "double")(t.Context(), question{21})
}

func TestAFunctionIsAskedAndAnswers(t *testing.T) {
	got, err := doubling(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"n":21}` || !strings.Contains(r.URL.Path, "function:double") {
			t.Errorf("asked %s of %s", body, r.URL.Path)
		}
		_, _ = io.WriteString(w, `{"doubled":42}`)
	})
	if err != nil || got.Doubled != 42 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFailuresOfAFunctionAreFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		handle http.HandlerFunc
		want   fault.Kind
	}{
		"the function fails": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			_, _ = io.WriteString(w, `{"errorMessage":"boom"}`)
		}, fault.Transient},
		"Lambda refuses":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, fault.Transient},
		"the answer is not one": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `[`) }, fault.Permanent},
	} {
		if _, err := doubling(t, tc.handle); !fault.Is(err, tc.want) || !strings.Contains(err.Error(), "double") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
