package awsfault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/test/awsfault"
)

// service is a fake AWS endpoint, with the same response to every call, behind a
// proxy.
type service struct {
	*awsfault.Proxy
	server *httptest.Server
	// arrived receives the body of each call when the endpoint has read it.
	arrived chan string
}

// newService starts a service that responds by respond until the test ends.
func newService(t *testing.T, respond http.HandlerFunc) *service {
	s := &service{arrived: make(chan string, 10_000)}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the proxy sent a broken body: %v", err)
		}
		s.arrived <- string(body)
		respond(w, r)
	}))
	t.Cleanup(endpoint.Close)
	target, err := url.Parse(endpoint.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Proxy = awsfault.New(target)
	s.server = httptest.NewServer(s.Proxy)
	t.Cleanup(func() {
		s.Close()
		s.server.Close()
	})
	return s
}

func respondOK(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "whole answer") }

// signed is the Authorization header of a request that is signed for a service.
func signed(service string) string {
	return "AWS4-HMAC-SHA256 Credential=test/20261127/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=0"
}

// call makes a call to SSM with the parts that the proxy reads. It returns an
// error if the connection is closed before the end of the response.
func (s *service) call(ctx context.Context, operation, body string) (status int, answer string, _ error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", signed("ssm"))
	req.Header.Set("X-Amz-Target", "AmazonSSM."+operation)
	return do(req)
}

func do(req *http.Request) (status int, answer string, _ error) {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func (s *service) mustAnswer(t *testing.T, operation, body string) {
	t.Helper()
	if status, answer, err := s.call(t.Context(), operation, body); err != nil || status != http.StatusOK || answer != "whole answer" {
		t.Errorf("%s %s: status %d, %q, %v", operation, body, status, answer, err)
	}
}

func (s *service) mustCount(t *testing.T, operation string, fault awsfault.Fault, want int) {
	t.Helper()
	if got := s.Counts()[awsfault.Count{Service: "ssm", Operation: operation, Fault: fault}]; got != want {
		t.Errorf("%d calls of %s had the fault %q, want %d", got, operation, fault, want)
	}
}

func TestCallsWithoutFaultPassUnchanged(t *testing.T) {
	var host, accept, method, uri string
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		host, accept, method, uri = r.Host, r.Header.Get("Accept-Encoding"), r.Method, r.RequestURI
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	req, err := http.NewRequest(http.MethodPut, s.server.URL+"/a%2Fb/c?q=1&q=2", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "ssm.us-east-1.amazonaws.com"
	transport := &http.Transport{DisableCompression: true} // no Accept-Encoding
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil || string(answer) != "short and stout" || res.StatusCode != http.StatusTeapot || res.Header.Get("X-Answer") != "yes" {
		t.Errorf("status %d, header %v, body %q, %v", res.StatusCode, res.Header, answer, err)
	}
	if body := <-s.arrived; body != "body" || host != req.Host || accept != "" || method != http.MethodPut || uri != "/a%2Fb/c?q=1&q=2" {
		t.Errorf("arrived: %q, host %q, Accept-Encoding %q, %s %s", body, host, accept, method, uri)
	}
	if n := s.Counts()[awsfault.Count{Operation: "PUT /a%2Fb/c"}]; n != 1 {
		t.Errorf("counts %v", s.Counts())
	}
}

func TestRefusedCallsAreNotForwarded(t *testing.T) {
	s := newService(t, respondOK)
	s.Add(awsfault.Rule{Fault: awsfault.Refuse("ThrottlingException")})
	status, answer, err := s.call(t.Context(), "PutParameter", "")
	if err != nil || status != http.StatusBadRequest || !strings.Contains(answer, `"__type":"ThrottlingException"`) {
		t.Errorf("status %d, %q, %v", status, answer, err)
	}
	if len(s.arrived) != 0 {
		t.Error("the call was forwarded")
	}
}

func TestSwallowedCallsHangUntilTheClientDisconnects(t *testing.T) {
	s := newService(t, respondOK)
	s.Add(awsfault.Rule{Fault: awsfault.Swallow})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, _, err := s.call(ctx, "PutParameter", "")
		result <- err
	}()
	s.awaitCount(t, awsfault.Swallow)
	select {
	case err := <-result:
		t.Fatalf("the call ended before the client disconnected: %v", err)
	default:
	}
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if len(s.arrived) != 0 {
		t.Error("the call was forwarded")
	}
}

// awaitCount waits until the proxy has counted a call with the fault.
func (s *service) awaitCount(t *testing.T, fault awsfault.Fault) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for c := range s.Counts() {
			if c.Fault == fault {
				return
			}
		}
	}
	t.Fatalf("no call had the fault %q", fault)
}

func TestACallWithALostResponseArrives(t *testing.T) {
	s := newService(t, respondOK)
	s.Add(awsfault.Rule{Fault: awsfault.LoseResponse})
	if status, answer, err := s.call(t.Context(), "PutParameter", "once"); err == nil {
		t.Errorf("a response came: status %d, %q", status, answer)
	}
	if len(s.arrived) != 1 {
		t.Fatalf("%d calls arrived", len(s.arrived))
	}
	if body := <-s.arrived; body != "once" {
		t.Errorf("%q arrived", body)
	}
}

// TestTheServiceCompletesACallAfterTheClientDisconnects checks that the proxy
// does not cancel a call that the endpoint has accepted.
func TestTheServiceCompletesACallAfterTheClientDisconnects(t *testing.T) {
	for _, fault := range []awsfault.Fault{awsfault.LoseResponse, awsfault.Delay(time.Hour)} {
		t.Run(fault.String(), func(t *testing.T) {
			finish, ended := make(chan struct{}), make(chan error, 1)
			s := newService(t, func(_ http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Amz-Target") != "AmazonSSM.PutParameter" {
					return
				}
				select {
				case <-finish:
				case <-r.Context().Done():
				}
				ended <- r.Context().Err()
			})
			release := s.Add(awsfault.Rule{Operation: "PutParameter", Fault: fault})
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() {
				_, _, err := s.call(ctx, "PutParameter", "late")
				result <- err
			}()
			s.awaitCount(t, fault)
			if fault == awsfault.LoseResponse {
				<-s.arrived
			}
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			// A proxy that canceled the call would do so in this time.
			for range 100 {
				if _, _, err := s.call(t.Context(), "GetParameter", ""); err != nil {
					t.Fatal(err)
				}
				<-s.arrived
			}
			if fault != awsfault.LoseResponse {
				release()
				if body := <-s.arrived; body != "late" {
					t.Errorf("%q arrived", body)
				}
			}
			close(finish)
			if err := <-ended; err != nil {
				t.Errorf("the endpoint's call ended: %v", err)
			}
		})
	}
}

func TestADelayedCallArrivesAndGetsAResponse(t *testing.T) {
	s := newService(t, respondOK)
	s.Add(awsfault.Rule{When: awsfault.First(1), Fault: awsfault.Delay(time.Millisecond)})
	s.mustAnswer(t, "PutParameter", "")
	s.mustCount(t, "PutParameter", awsfault.Delay(time.Millisecond), 1)
}

func TestADelayedCallWaits(t *testing.T) {
	s := newService(t, respondOK)
	release := s.Add(awsfault.Rule{Operation: "Put*", Fault: awsfault.Delay(time.Hour)})
	result := make(chan error)
	go func() {
		_, _, err := s.call(t.Context(), "PutParameter", "delayed")
		result <- err
	}()
	s.awaitCount(t, awsfault.Delay(time.Hour))
	s.mustAnswer(t, "GetParameter", "at once")
	if body := <-s.arrived; body != "at once" || len(s.arrived) != 0 {
		t.Errorf("%q arrived first", body)
	}
	release()
	if err := <-result; err != nil {
		t.Error(err)
	}
}

func TestResponsesHangAfterTheirHeaders(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"with a body":    respondOK,
		"without a body": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, answer)
			s.Add(awsfault.Rule{Fault: awsfault.HangAfterHeaders})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			if res.StatusCode != http.StatusOK || len(s.arrived) != 1 {
				t.Errorf("status %d, %d calls arrived", res.StatusCode, len(s.arrived))
			}
			cancel()
			if body, err := io.ReadAll(res.Body); len(body) > 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("the body: %q, %v", body, err)
			}
		})
	}
}

func TestReleaseEndsTheFault(t *testing.T) {
	for _, fault := range []awsfault.Fault{awsfault.Swallow, awsfault.HangAfterHeaders} {
		t.Run(fault.String(), func(t *testing.T) {
			s := newService(t, respondOK)
			release := s.Add(awsfault.Rule{Fault: fault})
			result := make(chan error)
			go func() {
				_, _, err := s.call(t.Context(), "PutParameter", "")
				result <- err
			}()
			s.awaitCount(t, fault)
			release()
			if err := <-result; err == nil {
				t.Error("the call that hung got a response")
			}
			s.mustAnswer(t, "PutParameter", "")
			s.mustCount(t, "PutParameter", fault, 1)
		})
	}
}

func TestCloseEndsEveryCall(t *testing.T) {
	faults := map[string]awsfault.Fault{
		"Swallow": awsfault.Swallow, "Delay": awsfault.Delay(time.Hour), "Hang": awsfault.HangAfterHeaders,
		"Lose": awsfault.LoseResponse, "Pass": {},
	}
	never := make(chan struct{})
	s := newService(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Hang") {
			return
		}
		select {
		case <-r.Context().Done():
		case <-never:
		}
	})
	defer close(never)
	results := make(chan error)
	for operation, fault := range faults {
		if fault != (awsfault.Fault{}) {
			s.Add(awsfault.Rule{Operation: operation, Fault: fault})
		}
		go func() {
			_, _, err := s.call(t.Context(), operation, "")
			results <- err
		}()
		s.awaitCount(t, fault)
	}
	s.Add(awsfault.Rule{Operation: "Refuse", Fault: awsfault.Refuse("ThrottlingException")})
	s.Close()
	for range faults {
		if err := <-results; err == nil {
			t.Error("a call got a response")
		}
	}
	for _, operation := range []string{"GetParameter", "Refuse"} {
		if _, _, err := s.call(t.Context(), operation, ""); err == nil {
			t.Errorf("%s got a response after Close", operation)
		}
	}
}

func TestRulesMatchServiceOperationAndBody(t *testing.T) {
	s := newService(t, respondOK)
	mine := awsfault.Refuse("Mine")
	s.Add(awsfault.Rule{Service: "dynamodb", Fault: awsfault.Swallow})
	s.Add(awsfault.Rule{Service: "ssm", Operation: "GetParameter*", Fault: awsfault.Swallow, When: awsfault.First(0)})
	s.Add(awsfault.Rule{
		Service: "ssm", Operation: "PutParameter", Fault: mine,
		Body: func(b []byte) bool { return bytes.Contains(b, []byte("/mine")) },
	})
	s.mustAnswer(t, "PutParameter", "/yours")
	s.mustAnswer(t, "GetParameter", "/mine")
	if status, _, err := s.call(t.Context(), "PutParameter", "/mine"); status != http.StatusBadRequest || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	s.mustCount(t, "PutParameter", mine, 1)
	s.mustCount(t, "PutParameter", awsfault.Fault{}, 1)
	s.mustCount(t, "GetParameter", awsfault.Fault{}, 1)
}

func TestTheFirstRuleThatSelectsACallApplies(t *testing.T) {
	s := newService(t, respondOK)
	first, second := awsfault.Refuse("First"), awsfault.Refuse("Second")
	s.Add(awsfault.Rule{Fault: first, When: awsfault.First(1)})
	release := s.Add(awsfault.Rule{Fault: second, When: awsfault.Every(2)})
	for range 5 { // the rule of each call: first, none, second, none, second
		if _, _, err := s.call(t.Context(), "PutParameter", ""); err != nil {
			t.Fatal(err)
		}
	}
	s.mustCount(t, "PutParameter", first, 1)
	s.mustCount(t, "PutParameter", second, 2)
	s.mustCount(t, "PutParameter", awsfault.Fault{}, 2)
	release()
	s.mustAnswer(t, "PutParameter", "")
	s.mustAnswer(t, "PutParameter", "")
}

func TestOperationsOfEveryProtocolAreNamed(t *testing.T) {
	s := newService(t, respondOK)
	for _, tc := range []struct {
		service, path, contentType, body string
		want                             awsfault.Rule
		throttled                        int
	}{
		{"lambda", "/2015-03-31/functions/arn%3Aaws%3Alambda%3Afunction%3Ax/invocations", "application/json", "{}",
			awsfault.Rule{Service: "lambda", Operation: "POST /2015-03-31/functions/*/invocations"}, http.StatusTooManyRequests},
		{"iam", "/", "application/x-www-form-urlencoded; charset=utf-8", "Action=CreateUser&UserName=a",
			awsfault.Rule{Service: "iam", Operation: "CreateUser"}, http.StatusBadRequest},
		{"s3", "/form", "application/x-www-form-urlencoded", "a=b", awsfault.Rule{Service: "s3", Operation: "POST /form"}, http.StatusTooManyRequests},
	} {
		for code, want := range map[string]int{"AccessDeniedException": http.StatusForbidden, "ThrottlingException": tc.throttled} {
			tc.want.Fault = awsfault.Refuse(code)
			release := s.Add(tc.want)
			req, err := http.NewRequest(http.MethodPost, s.server.URL+tc.path, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", signed(tc.service))
			req.Header.Set("Content-Type", tc.contentType)
			if status, _, err := do(req); status != want || err != nil {
				t.Errorf("%s: status %d, %v; counts %v", tc.want.Operation, status, err, s.Counts())
			}
			release()
		}
	}
}

func TestBounds(t *testing.T) {
	ordinals := func(selects awsfault.Bound) (selected []int) {
		for n := 1; n <= 1000; n++ {
			if selects(n) {
				selected = append(selected, n)
			}
		}
		return selected
	}
	if got := ordinals(awsfault.First(3)); len(got) != 3 || got[0] != 1 || got[2] != 3 {
		t.Errorf("the first 3: %v", got)
	}
	if got := ordinals(awsfault.Every(300)); len(got) != 3 || got[0] != 300 || got[2] != 900 {
		t.Errorf("every 300th: %v", got)
	}
	third, again, other := ordinals(awsfault.Chance(1./3, 1)), ordinals(awsfault.Chance(1./3, 1)), ordinals(awsfault.Chance(1./3, 2))
	same := func(a, b []int) bool {
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				return false
			}
		}
		return len(a) == len(b)
	}
	// The standard deviation of 1,000 draws is 15.
	if n := len(third); n < 270 || n > 400 {
		t.Errorf("a chance of a third selected %d of 1,000 calls", n)
	}
	if !same(third, again) || same(third, other) {
		t.Error("another seed selects the same calls")
	}
	if len(ordinals(awsfault.Chance(0, 1))) != 0 || len(ordinals(awsfault.Chance(1, 1))) != 1000 {
		t.Error("a chance of 0 or 1 is not never or always")
	}
}

func TestConcurrentCallsAreCountedOnceEach(t *testing.T) {
	s := newService(t, respondOK)
	refuse := awsfault.Refuse("ThrottlingException")
	s.Add(awsfault.Rule{Fault: refuse, When: awsfault.Every(3)})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 30 {
				if _, _, err := s.call(t.Context(), "PutParameter", ""); err != nil {
					t.Error(err)
				}
				s.Add(awsfault.Rule{Operation: "Other", Fault: awsfault.Swallow})()
			}
		})
	}
	wg.Wait()
	s.mustCount(t, "PutParameter", refuse, 80)
	s.mustCount(t, "PutParameter", awsfault.Fault{}, 160)
	if len(s.arrived) != 160 {
		t.Errorf("%d calls arrived", len(s.arrived))
	}
}

func TestAnUnreachableEndpointIsABadGateway(t *testing.T) {
	s := newService(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if status, _, err := s.call(t.Context(), "PutParameter", ""); status != http.StatusBadGateway || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
}

func TestInvalidRulesPanic(t *testing.T) {
	s := newService(t, respondOK)
	for name, add := range map[string]func(){
		"no fault":          func() { s.Add(awsfault.Rule{Service: "ssm"}) },
		"malformed pattern": func() { s.Add(awsfault.Rule{Operation: "[", Fault: awsfault.Swallow}) },
		"every 0th":         func() { awsfault.Every(0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			add()
		}()
	}
}
