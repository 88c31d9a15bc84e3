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

// Rule says which calls meet which fault.
type Rule struct {
	// Service is the name that requests to the service are signed for, such as
	// "ssm", "dynamodb", "kms", "events" or "lambda"; empty for every service.
	Service string
	// Operation is a pattern of [path.Match] for the operation's name, such as
	// "PutParameter". A REST service names none in its requests: there the method
	// and the path are matched, as in
	// "POST /2015-03-31/functions/*/invocations". Empty for every operation.
	Operation string
	// Body, if it isn't nil, reports whether the rule is about a request with this
	// body. It may be called by several requests at once.
	Body func(body []byte) bool
	// When selects some of the calls that match the above; nil selects them all.
	When Bound
	// Fault is what happens to the selected calls.
	Fault Fault
}

// Bound reports whether the nth call that matches a rule, counted from 1, meets
// its fault. It may be called by several requests at once.
type Bound func(n int) bool

// First selects the first n calls.
func First(n int) Bound { return func(i int) bool { return i <= n } }

// Every selects every kth call, beginning with the kth. It panics if k isn't
// positive.
func Every(k int) Bound {
	if k < 1 {
		panic("awsfault: Every needs a positive number")
	}
	return func(i int) bool { return i%k == 0 }
}

// Chance selects a call with probability p. The same seed selects the same
// calls.
func Chance(p float64, seed uint64) Bound {
	return func(i int) bool { return rand.New(rand.NewPCG(seed, uint64(i))).Float64() < p }
}

// Fault is what happens to a call. The zero Fault is none: the call is
// forwarded and answered.
type Fault struct {
	kind  string
	code  string
	delay time.Duration
}

// The faults without parameters.
var (
	// Swallow takes the call, forwards nothing and never answers.
	Swallow = Fault{kind: "swallow"}
	// LoseAnswer forwards the call, to its end even if the client has gone, and
	// then closes the connection without the answer.
	LoseAnswer = Fault{kind: "lose answer"}
	// HangAfterHeaders forwards the call, passes the status and the headers of
	// the answer on, and never sends the body.
	HangAfterHeaders = Fault{kind: "hang after headers"}
)

// Refuse answers with a service's error, by its code, and forwards nothing. The
// code is one that the service itself uses, such as ThrottlingException (SSM,
// KMS), ProvisionedThroughputExceededException (DynamoDB),
// TooManyRequestsException (Lambda), Throttling (query services) or
// AccessDeniedException.
func Refuse(code string) Fault { return Fault{kind: "refuse", code: code} }

// Delay forwards the call d later, even if the client has gone by then: a slow
// service finishes what it has accepted.
func Delay(d time.Duration) Fault { return Fault{kind: "delay", delay: d} }

// String names the fault with its parameter.
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

// Count names what [Proxy.Counts] counts: calls of one operation that met one
// fault, or none. Operation is as [Rule] describes it.
type Count struct {
	Service, Operation string
	Fault              Fault
}

// Proxy is an HTTP handler that forwards AWS calls, except as rules say. It is
// safe for concurrent use. [Proxy.Close] must be called before the server that
// runs it is closed, because that waits for calls that hang.
type Proxy struct {
	forward   *httputil.ReverseProxy
	transport *http.Transport
	running   context.Context // ends at Close
	stop      context.CancelFunc

	mu     sync.Mutex
	rules  []*activeRule // replaced, never changed
	counts map[Count]int
}

// activeRule is a rule that has been added.
type activeRule struct {
	Rule
	matched atomic.Int64
	active  context.Context // ends at its release, or at Close
}

// New makes a proxy before the endpoint at target, which has no path.
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
			r.Out.Host = r.In.Host // It is signed.
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

// Close ends all calls in progress, those that hang too, without an answer. The
// proxy serves none afterwards.
func (p *Proxy) Close() {
	p.stop()
	p.transport.CloseIdleConnections()
}

// Add adds a rule. Of several rules the first added that selects a call decides
// about it, and the later ones don't count it. No call meets the fault once
// release has been called; calls that hang by it then lose their connection, and
// delayed ones go on at once. Add panics if the rule has no fault, or if the
// pattern of its operation is malformed.
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

// Counts returns how many calls of each operation met each fault, or none. A
// call is counted when the proxy has decided about it, before it is answered.
func (p *Proxy) Counts() map[Count]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Only once the whole body is read does the server notice that the client
	// has gone.
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
	case LoseAnswer.kind:
		p.pass(context.WithoutCancel(client), nowhere{http.Header{}}, r)
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

// decide returns the fault that the call meets, and the context that ends when
// its rule is released; it counts the call.
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
	matched, _ := path.Match(r.Operation, c.operation) // Add has checked the pattern.
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

// abort has the server close the connection without an answer.
func abort() { panic(http.ErrAbortHandler) }

// nowhere drops an answer.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) WriteHeader(int)             {}
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }

// headersOnly sends an answer's status and headers, hangs, and closes the
// connection.
type headersOnly struct {
	http.ResponseWriter
	hang func()
}

func (h headersOnly) WriteHeader(status int) {
	h.Header().Del("Content-Length") // Even an empty body then has an end to wait for.
	h.ResponseWriter.WriteHeader(status)
	_ = http.NewResponseController(h.ResponseWriter).Flush() // The client may have gone.
	h.hang()
	abort()
}
