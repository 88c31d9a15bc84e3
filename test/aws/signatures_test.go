package aws_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	"github.com/paceline/paceline/test/awsfault"
)

// A ministack that verifies signatures accepts a request through the proxy that
// was signed for the proxy's address, and rejects one that was signed with a
// wrong key.
func TestSignaturesHoldThroughTheProxy(t *testing.T) {
	binary, err := find()
	if err != nil {
		t.Fatal(err)
	}
	endpoint, stop, err := start(binary, t.TempDir(), "AUTH=true")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	proxy, address := mustProxyBefore(t, endpoint)
	cfg := mustConfig(t)
	cfg.BaseEndpoint = aws.String(address)

	mustIAM(t, cfg, url.Values{"Action": {"CreateUser"}, "UserName": {"writer"}})
	mustIAM(t, cfg, url.Values{
		"Action": {"PutUserPolicy"}, "UserName": {"writer"}, "PolicyName": {"write"},
		"PolicyDocument": {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:PutParameter","Resource":"*"}]}`},
	})
	var key struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := xml.Unmarshal(mustIAM(t, cfg, url.Values{"Action": {"CreateAccessKey"}, "UserName": {"writer"}}), &key); err != nil || key.ID == "" {
		t.Fatalf("no access key: %v", err)
	}
	if n := proxy.Counts()[awsfault.Count{Service: "iam", Operation: "CreateUser"}]; n != 1 {
		t.Errorf("%d calls of CreateUser were counted: %v", n, proxy.Counts())
	}

	put := func(secretKey string) error {
		cfg.Credentials = credentials.NewStaticCredentialsProvider(key.ID, secretKey, "")
		_, err := awsssm.NewFromConfig(cfg).PutParameter(t.Context(), &awsssm.PutParameterInput{
			Name: aws.String("/signed"), Value: aws.String("v"), Type: ssmtypes.ParameterTypeString, Overwrite: aws.Bool(true),
		})
		return err
	}
	if err := put(key.Secret); err != nil {
		t.Errorf("signed with the user's key: %v", err)
	}
	var refused smithy.APIError
	if err := put("another"); !errors.As(err, &refused) || !strings.Contains(refused.ErrorCode(), "Signature") {
		t.Errorf("signed with another key: %v", err)
	}
}

// mustIAM calls IAM's query API. The module has no SDK package for IAM.
func mustIAM(t *testing.T, cfg aws.Config, form url.Values) (answer []byte) {
	t.Helper()
	form.Set("Version", "2010-05-08")
	body := form.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, aws.ToString(cfg.BaseEndpoint)+"/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	key, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(t.Context(), key, req, hex.EncodeToString(digest[:]), "iam", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err = io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d: %s %v", form.Get("Action"), res.StatusCode, answer, err)
	}
	return answer
}
