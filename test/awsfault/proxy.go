package awsfault

import (
	"bytes"
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Rule gives a fault to the calls that it selects.
type Rule struct {
	// Service is the service's name in signatures, such as "ssm", "dynamodb",
	// "kms", "events" or "lambda". "" selects every service.
	Service string
	// Operation is a pattern of [path.Match] for the operation's name, such as
	// "PutParameter". Requests to a REST service have no such name: the pattern
	// matches the method and the path, as in
	// "POST /2015-03-31/functions/*/invocations". "" selects every operation.
	Operation string
	// Body, if it is not nil, reports whether the rule selects a request with
	// this body. Several requests may call it at once.
	Body func(body []byte) bool
	// When selects some of the calls that match the fields above; nil selects
	// all.
	When Bound
	// Fault of the selected calls.
	Fault Fault
}

// Bound reports whether the nth call that matches a rule, counted from 1, has its
// fault. Several requests may call it at once.
type Bound func(n int) bool

// First selects the first n calls.
func First(n int) Bound { return func(i int) bool { return i <= n } }

// Every selects every kth call, beginning with the kth. It panics if k is not
// positive.
func Every(k int) Bound {
	if k < 1 {
		panic("awsfault: Every needs a positive number")
	}
	return func(i int) bool { return i%k == 0 }
}

// Chance selects a call with probability p. One seed always selects the same
// calls.
func Chance(p float64, seed uint64) Bound {
	return func(i int) bool { return rand.New(rand.NewPCG(seed, uint64(i))).Float64() < p }
}

// Fault is a way for a call to fail. The zero Fault changes nothing.
type Fault struct {
	kind  string
	code  string
	delay time.Duration
}

// The faults without parameters.
var (
	// Swallow accepts the call, forwards nothing and never responds.
	Swallow = Fault{kind: "swallow"}
	// LoseResponse forwards the call and closes the connection before the
	// response. The call completes even if the client disconnects.
	LoseResponse = Fault{kind: "lose response"}
	// HangAfterHeaders forwards the call, sends the status and the headers of the
	// response, and never sends the body.
	HangAfterHeaders = Fault{kind: "hang after headers"}
)

// Refuse responds with a service's error and forwards nothing. The code is one of
// the service's own, such as ThrottlingException (SSM, KMS),
// ProvisionedThroughputExceededException (DynamoDB),
// TooManyRequestsException (Lambda), Throttling (query services) or
// AccessDeniedException.
func Refuse(code string) Fault { return Fault{kind: "refuse", code: code} }

// Delay forwards the call after d, even if the client has disconnected by then: a
// slow service completes the calls that it has accepted.
func Delay(d time.Duration) Fault { return Fault{kind: "delay", delay: d} }

// String returns the fault's name with its parameter.
func (f Fault) String() string {
	switch f.kind {
	case "":
		return "none"
	case "refuse":
		return "refuse: " + f.code
	case "delay":
		return "delay: " + f.delay.String()
	}
	return f.kind
}

// Count is the key of [Proxy.Counts]: the calls of one operation with one fault.
// The zero Fault stands for calls without one. Operation is as in [Rule].
type Count struct {
	Service, Operation string
	Fault              Fault
}

// Proxy is an HTTP handler that forwards AWS calls and applies the rules. It is
// safe for concurrent use. Call [Proxy.Close] before you close the server that
// runs it, because the server waits for calls that hang.
type Proxy struct {
	forward   *httputil.ReverseProxy
	transport *http.Transport
	running   context.Context // ends at Close
	stop      context.CancelFunc

	mu     sync.Mutex
	rules  []*activeRule // replaced, never changed
	counts map[Count]int
}

// activeRule is a rule in force.
type activeRule struct {
	Rule
	matched atomic.Int64
	active  context.Context // ends at its release, or at Close
}

// New returns a proxy in front of the endpoint at target, which has no path.
func New(target *url.URL) *Proxy {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	// The client decides which encodings it accepts.
	transport.DisableCompression = true
	p := &Proxy{transport: transport, counts: map[Count]int{}}
	p.forward = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the signature covers it
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			if p.running.Err() != nil {
				abort()
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	p.running, p.stop = context.WithCancel(context.Background())
	return p
}

// Close ends all calls in progress without a response. The proxy then serves no
// more calls.
func (p *Proxy) Close() {
	p.stop()
	p.transport.CloseIdleConnections()
}

// Add adds a rule. If several rules select a call, the one that was added first
// applies, and the others do not count the call. After release, no call has the
// fault; calls that hang because of it lose their connection, and delayed calls
// continue at once. Add panics if the rule has no fault, or if the pattern of its
// operation is malformed.
func (p *Proxy) Add(rule Rule) (release func()) {
	if rule.Fault == (Fault{}) {
		panic("awsfault: the rule has no fault")
	}
	if _, err := path.Match(rule.Operation, ""); err != nil {
		panic("awsfault: operation " + rule.Operation + ": " + err.Error())
	}
	active, end := context.WithCancel(p.running)
	added := &activeRule{Rule: rule, active: active}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(slices.Clone(p.rules), added)
	return func() {
		p.mu.Lock()
		p.rules = slices.DeleteFunc(slices.Clone(p.rules), func(r *activeRule) bool { return r == added })
		p.mu.Unlock()
		end()
	}
}

// Counts returns how many calls of each operation had each fault. A call is
// counted before its response is sent.
func (p *Proxy) Counts() map[Count]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The server notices that the client has disconnected only after the whole
	// body is read.
	body, err := io.ReadAll(r.Body)
	if err != nil || p.running.Err() != nil {
		abort()
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c := identify(r, body)
	fault, active := p.decide(c)
	client := r.Context()
	switch fault.kind {
	case "":
		p.pass(client, w, r)
	case Swallow.kind:
		wait(client, active)
		abort()
	case LoseResponse.kind:
		p.pass(context.WithoutCancel(client), discard{http.Header{}}, r)
		abort()
	case HangAfterHeaders.kind:
		p.pass(client, headersOnly{w, func() { wait(client, active) }}, r)
	case "refuse":
		refuse(w, c, fault.code)
	case "delay":
		select {
		case <-time.After(fault.delay):
		case <-active.Done():
		}
		p.pass(context.WithoutCancel(client), w, r)
	}
}

// decide counts the call and returns its fault, with the context that ends when
// the rule is released.
func (p *Proxy) decide(c call) (fault Fault, active context.Context) {
	p.mu.Lock()
	rules := p.rules
	p.mu.Unlock()
	for _, rule := range rules {
		if rule.selects(c) {
			fault, active = rule.Fault, rule.active
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[Count{c.service, c.operation, fault}]++
	return fault, active
}

func (r *activeRule) selects(c call) bool {
	matched, _ := path.Match(r.Operation, c.operation) // Add has checked the pattern
	switch {
	case r.Service != "" && r.Service != c.service:
		return false
	case r.Operation != "" && !matched:
		return false
	case r.Body != nil && !r.Body(c.body):
		return false
	}
	n := int(r.matched.Add(1))
	return r.When == nil || r.When(n)
}

// pass forwards the request until ctx ends or the proxy is closed.
func (p *Proxy) pass(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.running, cancel)()
	p.forward.ServeHTTP(w, r.WithContext(ctx))
}

func wait(client, active context.Context) {
	select {
	case <-client.Done():
	case <-active.Done():
	}
}

// abort closes the connection without a response.
func abort() { panic(http.ErrAbortHandler) }

// discard drops a response.
type discard struct{ header http.Header }

func (n discard) Header() http.Header         { return n.header }
func (n discard) WriteHeader(int)             {}
func (n discard) Write(b []byte) (int, error) { return len(b), nil }

// headersOnly sends a response's status and headers, hangs, and closes the
// connection.
type headersOnly struct {
	http.ResponseWriter
	hang func()
}

func (h headersOnly) WriteHeader(status int) {
	h.Header().Del("Content-Length") // so that the client waits even for an empty body
	h.ResponseWriter.WriteHeader(status)
	_ = http.NewResponseController(h.ResponseWriter).Flush() // the client may have disconnected
	h.hang()
	abort()
}
