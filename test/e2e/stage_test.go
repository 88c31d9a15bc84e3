package e2e_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"
	"github.com/paceline/paceline/standin/strava"
	"github.com/paceline/paceline/test/keystates"
)

// TestStage clears, destroys and deploys a stage again, then destroys it without
// clearing and deploys it again, and finally changes the client secret. As in
// every local cloud, IAM checks each call. In addition, a gate before Parameter
// Store refuses the calls that the state of a KMS key forbids, because the
// emulator does not.
func TestStage(t *testing.T) {
	t.Parallel()
	c := startWith(t, "stage", func(c *cloud) { c.guardKeys(t) })
	c.mustCheckIAM(t)
	athletes := c.athletes(t)[:2]
	for _, a := range athletes {
		c.mustGather(t, a.ID)
	}
	mustClearStage(t, c, athletes)

	first := c.tokenKey(t)
	c.destroy(t)
	c.mustBeDeletedLater(t, first)
	c.paceline(t, "up")
	if c.tokenKey(t) == first {
		t.Error("the alias still names the old key")
	}
	b := c.mustGather(t, athletes[0].ID)

	mustDeployWithoutClearing(t, c, b)
	c.mustGather(t, athletes[0].ID)

	var fresh struct {
		ClientSecret string `json:"client_secret"`
	}
	c.control(t, "POST", "/client-secret", nil, &fresh)
	c.adminWith(t, fresh.ClientSecret, nil, "app", "set", "--client-id", c.clientID(t))
	c.mustGather(t, athletes[1].ID)
	c.callback(t)
}

// mustGather connects an athlete and waits until all data is gathered.
func (c *cloud) mustGather(t *testing.T, athlete int64) *browser {
	t.Helper()
	b := c.browser(t)
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	b.current(time.Minute)
	return b
}

// mustClearStage clears the stage twice. The first time ends and erases
// everything, the second time changes nothing.
func mustClearStage(t *testing.T, c *cloud, athletes []strava.AthleteState) {
	t.Helper()
	var cleared struct {
		Ended        int    `json:"ended"`
		Subscription string `json:"subscription"`
		Parameters   int    `json:"parameters"`
	}
	c.admin(t, &cleared, "stage", "clear", "--stage-name", "local")
	if cleared.Ended != 2 || cleared.Subscription != "deleted" || cleared.Parameters != 2 {
		t.Errorf("cleared %+v", cleared)
	}
	c.mustBeEmptyAtStrava(t)
	for _, a := range athletes {
		if found := c.stored(t, a.ID); len(found) != 0 {
			t.Errorf("athlete %d: still stored: %v", a.ID, found)
		}
	}
	if left := c.parameters(t); len(left) != 0 {
		t.Errorf("parameters: %v", left)
	}
	c.admin(t, &cleared, "stage", "clear", "--stage-name", "local")
	if cleared.Ended != 0 || cleared.Subscription != "none" || cleared.Parameters != 0 {
		t.Errorf("cleared again: %+v", cleared)
	}
}

// mustDeployWithoutClearing destroys the stage without clearing it and deploys it
// again. b has a session. Parameters created at run time and authorizations
// survive the stacks.
func mustDeployWithoutClearing(t *testing.T, c *cloud, b *browser) {
	t.Helper()
	key, before := c.tokenKey(t), c.callback(t)
	c.destroy(t)
	if left := c.parameters(t); len(left) != 3 { // a token pair, and the applications at Strava and Fitbit
		t.Errorf("parameters that survive the stage: %v", left)
	}
	// Without its key the registration cannot be read, so `up` replaces it.
	c.paceline(t, "up")
	if c.callback(t) == before {
		t.Error("the registration under the old key was read, or the subscription was not ensured")
	}
	if c.tokenKey(t) == key {
		t.Error("the alias still names the old key")
	}
	if a := b.do("GET", "/v1/me"); a.status == 200 {
		t.Error("a session survives the stage")
	}
}

// mustCheckIAM checks that the local cloud enforces IAM: it refuses an unknown
// access key.
func (c *cloud) mustCheckIAM(t *testing.T) {
	t.Helper()
	cfg := c.aws(t)
	cfg.Credentials = credentials.NewStaticCredentialsProvider("AKIASTRANGERSTRANGER", "a stranger's", "")
	_, err := ssm.NewFromConfig(cfg).DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
	if refused := (smithy.APIError)(nil); !errors.As(err, &refused) || refused.ErrorCode() != "UnrecognizedClientException" {
		t.Errorf("a call with an unknown access key: %v", err)
	}
}

// callback returns the URL to which Strava sends webhooks.
func (c *cloud) callback(t *testing.T) string {
	t.Helper()
	var subscription struct {
		CallbackURL string `json:"callback_url"`
	}
	c.admin(t, &subscription, "subscription", "show")
	if subscription.CallbackURL == "" {
		t.Error("there is no push subscription")
	}
	return subscription.CallbackURL
}

// guardKeys puts a gate between the functions and Parameter Store that enforces
// the states of KMS keys.
func (c *cloud) guardKeys(t *testing.T) {
	t.Helper()
	emulator, err := url.Parse("http://127.0.0.1:" + c.ports[1])
	if err != nil {
		t.Fatal(err)
	}
	c.outputs.AWS = emulator.String()
	cfg := c.aws(t)
	gate := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(emulator)
			r.Out.Host = r.In.Host // The signature includes it.
		},
		Transport: &keystates.Gate{Next: http.DefaultTransport, KMS: kms.NewFromConfig(cfg), SSM: ssm.NewFromConfig(cfg)},
	})
	t.Cleanup(gate.Close)
	c.env = append(c.env, "AWS_ENDPOINT_URL_SSM="+gate.URL)
}

// mustBeEmptyAtStrava checks that Strava has no connected athlete and no
// subscription.
func (c *cloud) mustBeEmptyAtStrava(t *testing.T) {
	t.Helper()
	var status struct {
		Connected    int `json:"connected"`
		Subscription any `json:"subscription"`
	}
	c.control(t, "GET", "/status", nil, &status)
	if status.Connected != 0 || status.Subscription != nil {
		t.Errorf("at Strava %d athletes are connected, the subscription is %v", status.Connected, status.Subscription)
	}
}

// clientID returns the application's client id.
func (c *cloud) clientID(t *testing.T) string {
	t.Helper()
	var status struct {
		ClientID int64 `json:"client_id"`
	}
	c.control(t, "GET", "/status", nil, &status)
	return strconv.FormatInt(status.ClientID, 10)
}

// parameters returns the names of the stage's parameters.
func (c *cloud) parameters(t *testing.T) (names []string) {
	t.Helper()
	pages := ssm.NewGetParametersByPathPaginator(ssm.NewFromConfig(c.aws(t)), &ssm.GetParametersByPathInput{
		Path: aws.String("/paceline/local"), Recursive: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Parameters {
			names = append(names, *p.Name)
		}
	}
	return names
}

// tokenKey returns the id of the key that the stage's alias names.
func (c *cloud) tokenKey(t *testing.T) string {
	t.Helper()
	out, err := kms.NewFromConfig(c.aws(t)).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/paceline-local-tokens")})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.KeyId
}

// mustBeDeletedLater checks that the deletion of a key is scheduled.
func (c *cloud) mustBeDeletedLater(t *testing.T, key string) {
	t.Helper()
	out, err := kms.NewFromConfig(c.aws(t)).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String(key)})
	if err != nil || out.KeyMetadata.KeyState != kmstypes.KeyStatePendingDeletion {
		t.Errorf("the key is %v, %v", out.KeyMetadata.KeyState, err)
	}
}

// destroy destroys all stacks with the CDK CLI, as `make destroy` does.
func (c *cloud) destroy(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(c.root, "node_modules/.bin/cdk"), "destroy", "--all", "--force", "--ci",
		"--app", filepath.Join(c.root, "dist/infra"), "--output", filepath.Join(c.dir, "cdk.out"), "--no-notices",
		"-c", "stage=local", "-c", "siteUrl="+c.outputs.App,
		"-c", "stravaApiUrl="+c.outputs.Strava["api"], "-c", "stravaOauthUrl="+c.outputs.Strava["oauth"], "-c", "stravaPushUrl="+c.outputs.Strava["push"])
	cmd.Dir = c.root
	node := filepath.Join(c.root, "node_modules/node/bin")
	cmd.Env = append(os.Environ(), "PATH="+node+string(os.PathListSeparator)+os.Getenv("PATH"), "JSII_NODE="+filepath.Join(node, "node"),
		"CDK_HOME="+filepath.Join(c.dir, "cdk-home"), "CDK_DISABLE_CLI_TELEMETRY=true", "NO_COLOR=1",
		"AWS_ENDPOINT_URL="+c.outputs.AWS, "AWS_ENDPOINT_URL_S3="+strings.Replace(c.outputs.AWS, "localhost", "127.0.0.1", 1),
		"AWS_ACCESS_KEY_ID=PACELINELOCAL", "AWS_SECRET_ACCESS_KEY=paceline", "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"NO_PROXY=localhost,127.0.0.1", "no_proxy=localhost,127.0.0.1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cdk destroy: %v\n%s", err, out)
	}
	stacks, err := cloudformation.NewFromConfig(c.aws(t)).ListStacks(t.Context(), &cloudformation.ListStacksInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stacks.StackSummaries {
		if strings.HasPrefix(*s.StackName, "Paceline-") && s.StackStatus != "DELETE_COMPLETE" {
			t.Errorf("the stack %s is %s", *s.StackName, s.StackStatus)
		}
	}
	// `paceline local` records its own deployments; this was not one of them.
	if err := os.Remove(filepath.Join(c.dir, "deployed.json")); err != nil {
		t.Fatal(err)
	}
}
