package startup_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// mustConfig is the configuration that functions have, for the service at url.
func mustConfig(t *testing.T, url string, options ...func(*config.LoadOptions) error) aws.Config {
	t.Helper()
	cfg, err := startup.AWS(t.Context(), append(options, config.WithBaseEndpoint(url), config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("id", "key", "")))...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// stuck is a service that accepts connections and never finishes an answer.
type stuck struct {
	url string
	// accepted counts connections.
	accepted atomic.Int64
}

// newStuck starts a service that handles each connection by behave, on a
// goroutine of its own, and then leaves it open until the test is over.
func newStuck(t *testing.T, behave func(net.Conn)) *stuck {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &stuck{url: "http://" + l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			t.Cleanup(func() { _ = conn.Close() })
			go behave(conn)
		}
	}()
	return s
}

const headers = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 1000\r\n\r\n"

// behaviours of services that hang.
var behaviours = map[string]func(net.Conn){
	"never answers": func(net.Conn) {},
	"answers headers and stalls": func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, headers+"{")
		}
	},
	"answers without an end": func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, err := io.WriteString(conn, headers+"{")
		for tick := time.Tick(20 * time.Millisecond); err == nil; <-tick {
			_, err = io.WriteString(conn, " ")
		}
	},
}

// calls has a call of each service that functions use.
var calls = map[string]func(context.Context, aws.Config) error{
	"DynamoDB": func(ctx context.Context, cfg aws.Config) error {
		_, err := dynamodb.NewFromConfig(cfg).ListTables(ctx, &dynamodb.ListTablesInput{})
		return err
	},
	"SSM": func(ctx context.Context, cfg aws.Config) error {
		_, err := ssm.NewFromConfig(cfg).PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("a"), Value: aws.String("b")})
		return err
	},
	"KMS": func(ctx context.Context, cfg aws.Config) error {
		_, err := kms.NewFromConfig(cfg).GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String("key")})
		return err
	},
	"EventBridge": func(ctx context.Context, cfg aws.Config) error {
		_, err := eventbridge.NewFromConfig(cfg).DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{})
		return err
	},
	"SQS": func(ctx context.Context, cfg aws.Config) error {
		_, err := sqs.NewFromConfig(cfg).ListQueues(ctx, &sqs.ListQueuesInput{})
		return err
	},
	"Lambda": func(ctx context.Context, cfg aws.Config) error {
		_, err := lambda.NewFromConfig(cfg).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("f")})
		return err
	},
}

// eachStuck makes every call on services that hang in every way, all at once,
// by clients with the limits that limit sets. Each call must fail by itself
// after so many attempts, each of which has a connection of its own.
func eachStuck(t *testing.T, limit func(aws.Config) aws.Config, attempts int64) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for service, call := range calls {
		for behaviour, behave := range behaviours {
			s := newStuck(t, behave)
			cfg := limit(mustConfig(t, s.url))
			wg.Go(func() {
				err := call(ctx, cfg)
				if n := s.accepted.Load(); err == nil || ctx.Err() != nil || n != attempts {
					t.Errorf("%s %s: %v after %d attempts; the caller's time: %v", service, behaviour, err, n, ctx.Err())
				}
			})
		}
	}
	wg.Wait()
}

func limits(l startup.Limits) func(aws.Config) aws.Config {
	return func(cfg aws.Config) aws.Config { return startup.WithLimits(cfg, l) }
}

func TestEachAttemptEnds(t *testing.T) {
	eachStuck(t, limits(startup.Limits{Dial: time.Hour, Attempt: time.Second, Attempts: 2, Call: time.Hour}), 2)
}

func TestCallEndsAlthoughItsAttemptsDoNot(t *testing.T) {
	eachStuck(t, limits(startup.Limits{Dial: time.Hour, Attempt: time.Hour, Attempts: 3, Call: time.Second}), 1)
}

// TestCallsEndByDefault with the limits that functions have.
func TestCallsEndByDefault(t *testing.T) {
	eachStuck(t, func(cfg aws.Config) aws.Config { return cfg }, 3)
}

func TestDialEnds(t *testing.T) {
	s := newStuck(t, behaviours["never answers"])
	cfg := limits(startup.Limits{Dial: time.Nanosecond, Attempt: time.Hour, Attempts: 3, Call: time.Hour})(mustConfig(t, s.url))
	dial := (*net.OpError)(nil)
	if err := calls["DynamoDB"](t.Context(), cfg); !errors.As(err, &dial) || dial.Op != "dial" || !dial.Timeout() {
		t.Error(err)
	}
}

func TestAttemptAfterOneThatHungSucceeds(t *testing.T) {
	for _, secure := range []bool{false, true} { // An HTTP/2 connection would be shared by both attempts.
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != 1 {
					t.Errorf("asked by %s", r.Proto)
				}
				if requests.Add(1) == 1 {
					_, _ = io.Copy(io.Discard, r.Body) // Only then is the end of the connection noticed.
					<-r.Context().Done()
					return
				}
				_, _ = io.WriteString(w, "{}")
			}))
			server.EnableHTTP2 = true
			var options []func(*config.LoadOptions) error
			if secure {
				server.StartTLS()
				certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
				options = append(options, config.WithCustomCABundle(bytes.NewReader(certificate)))
			} else {
				server.Start()
			}
			defer server.Close()
			if err := calls["DynamoDB"](t.Context(), mustConfig(t, server.URL, options...)); err != nil {
				t.Error(err)
			}
			if n := requests.Load(); n != 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestWaitingCallsAreWaitedFor beyond the limits of short calls, and repeated
// when they are refused at once.
func TestWaitingCallsAreWaitedFor(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests.Add(1) {
		case 1:
			w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			<-time.After(50 * time.Millisecond) // It takes longer than the short limits of this test.
			_, _ = io.WriteString(w, "{}")
		}
	}))
	defer server.Close()
	tight := startup.Limits{Dial: time.Nanosecond, Attempt: time.Nanosecond, Attempts: 1, Call: time.Nanosecond}
	cfg := startup.WithLimits(mustConfig(t, server.URL), tight)
	if err := calls["Lambda"](t.Context(), cfg); !errors.Is(err, context.DeadlineExceeded) || requests.Load() != 0 {
		t.Errorf("within a nanosecond: %v after %d requests", err, requests.Load())
	}
	if err := calls["Lambda"](t.Context(), startup.WithLimits(cfg, startup.Waiting(time.Minute))); err != nil {
		t.Error(err)
	}
	// One configuration does not change the other.
	if err := calls["Lambda"](t.Context(), cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("within a nanosecond, afterwards: %v", err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestRequestIsSentWithItsBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	payload := make([]byte, 3<<20)
	for i := range payload {
		payload[i] = byte(i % 251)
	}
	out, err := lambda.NewFromConfig(mustConfig(t, server.URL)).Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("f"), Payload: payload})
	if err != nil || string(out.Payload) != string(payload) {
		t.Errorf("%v", err)
	}
}
