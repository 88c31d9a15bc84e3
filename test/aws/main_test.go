package aws_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/paceline/paceline/test/awsfault"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/aws:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	binary, err := find()
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "paceline-test-aws-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	endpoint, stop, err := start(binary, dir)
	if err != nil {
		return 1, err
	}
	defer stop()
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL":            endpoint,
		"AWS_REGION":                  "us-east-1",
		"AWS_ACCESS_KEY_ID":           "test",
		"AWS_SECRET_ACCESS_KEY":       "test",
		"AWS_SESSION_TOKEN":           "",
		"AWS_PROFILE":                 "",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		if err := os.Setenv(name, value); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// find returns the path of ministack: that in MINISTACK, in the project's venv, or
// in the PATH.
func find() (string, error) {
	venv, err := filepath.Abs("../../.local/venv/bin/ministack")
	if err != nil {
		return "", err
	}
	candidates := []string{venv, "ministack"}
	if binary := os.Getenv("MINISTACK"); binary != "" {
		candidates = []string{binary}
	}
	for _, candidate := range candidates {
		if binary, err := exec.LookPath(candidate); err == nil {
			return binary, nil
		}
	}
	return "", fmt.Errorf("ministack is missing (%s): run `make test`, which installs it, or set MINISTACK to its path", strings.Join(candidates, ", "))
}

const startTimeout = 60 * time.Second

// leash runs a program in a process group. All of the group ends when the program
// or standard input ends, also if the tests panic or are interrupted.
const leash = `("$0"; kill -KILL 0) & read -r _; kill -KILL 0`

// start runs ministack until stop is called, with additional environment
// variables as NAME=value.
func start(binary, dir string, settings ...string) (endpoint string, stop func(), err error) {
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	logPath := filepath.Join(dir, "ministack.log")
	log, err := os.Create(logPath)
	if err != nil {
		return "", nil, err
	}
	defer log.Close()
	cmd := exec.Command("sh", "-c", leash, binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "BIND_HOST=127.0.0.1", fmt.Sprintf("GATEWAY_PORT=%d", port), "LOG_LEVEL=WARNING", "TMPDIR="+dir)
	cmd.Env = append(cmd.Env, settings...)
	held, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start ministack: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // The error is always that it was killed.
		close(ended)
	}()
	stop = func() {
		_ = held.Close()
		<-ended
	}

	endpoint = fmt.Sprintf("http://127.0.0.1:%d", port)
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(50 * time.Millisecond) {
		select {
		case <-ended:
			return "", nil, fmt.Errorf("ministack ended at once: %s", tail(logPath))
		default:
		}
		res, err := http.Get(endpoint + "/_ministack/ready")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return endpoint, stop, nil
			}
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("ministack was not ready after %s: %s", startTimeout, tail(logPath))
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// mustConfig loads the AWS configuration as a function does.
func mustConfig(t *testing.T) aws.Config {
	t.Helper()
	cfg, err := startup.AWS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// mustProxy starts a proxy in front of the test's ministack, which makes calls
// fail, and loads an AWS configuration that uses it.
func mustProxy(t *testing.T) (*awsfault.Proxy, aws.Config) {
	t.Helper()
	cfg := mustConfig(t)
	proxy, address := mustProxyBefore(t, aws.ToString(cfg.BaseEndpoint))
	cfg.BaseEndpoint = aws.String(address)
	return proxy, cfg
}

func mustProxyBefore(t *testing.T, endpoint string) (proxy *awsfault.Proxy, address string) {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil || target.Host == "" {
		t.Fatalf("the endpoint %q is no URL: %v", endpoint, err)
	}
	proxy = awsfault.New(target)
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		proxy.Close()
		server.Close()
	})
	return proxy, server.URL
}

// mustTable creates a DynamoDB table for the test and returns its name. The name
// in schema is ignored.
func mustTable(t *testing.T, schema dynamodb.CreateTableInput) string {
	t.Helper()
	db := dynamodb.NewFromConfig(mustConfig(t))
	schema.TableName = aws.String("test-" + rand.Text())
	schema.BillingMode = types.BillingModePayPerRequest
	if _, err := db.CreateTable(t.Context(), &schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := db.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: schema.TableName})
		if err != nil {
			t.Error(err)
		}
	})
	return *schema.TableName
}

// attribute defines an attribute that a key or index uses.
func attribute(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
	return types.AttributeDefinition{AttributeName: aws.String(name), AttributeType: kind}
}

// primaryKey returns a partition key, perhaps with a sort key.
func primaryKey(partition string, sort ...string) []types.KeySchemaElement {
	key := []types.KeySchemaElement{{AttributeName: aws.String(partition), KeyType: types.KeyTypeHash}}
	for _, name := range sort {
		key = append(key, types.KeySchemaElement{AttributeName: aws.String(name), KeyType: types.KeyTypeRange})
	}
	return key
}

// mustItems reads a whole table.
func mustItems(t *testing.T, table string) []map[string]types.AttributeValue {
	t.Helper()
	var items []map[string]types.AttributeValue
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(mustConfig(t)), &dynamodb.ScanInput{
		TableName: aws.String(table), ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, page.Items...)
	}
	return items
}
