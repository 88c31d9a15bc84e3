package strava

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/standin"
)

// Config is what a Server is made of. The zero Config is a Strava without athletes.
type Config struct {
	// Clock is the source of time; default standin.SystemClock.
	Clock standin.Clock
	// Seed makes tokens, ids and random choices repeatable. Two servers with one
	// seed issue the same tokens, so a long-lived process takes a random seed.
	Seed uint64
	// ClientID and ClientSecret are the application's; default made from the seed.
	ClientID     int64
	ClientSecret string
	// CallbackDomain is the domain that redirect URIs must be in; localhost and
	// 127.0.0.1 always are.
	CallbackDomain string
	// Athletes have accounts here. Ids must differ.
	Athletes []Athlete
	// Settings at the start.
	Settings Settings
	// CallbackTimeout is how long a webhook callback may take, in real time;
	// default 2 s (Strava, Webhooks).
	CallbackTimeout time.Duration
	// Callbacks carries handshakes and webhook events; default http.DefaultTransport.
	Callbacks http.RoundTripper
	// Fault is asked about every request before it is served; nil means no fault.
	Fault func(Request) *Fault
}

// Server is one Strava with one application. It is safe for concurrent use.
type Server struct {
	clock     standin.Clock
	client    *http.Client // to callbacks
	timeout   time.Duration
	faultHook func(Request) *Fault
	mux       *http.ServeMux
	running   context.Context // ends at Close
	stop      context.CancelFunc
	attempts  sync.WaitGroup

	appID          int64
	appSecret      atomic.Pointer[string]
	callbackDomain string
	signingKey     string // nobody but Strava knows how to get it

	mu            sync.Mutex // guards all below
	rng           *rand.ChaCha8
	settings      Settings
	meter         meter
	population    population
	codes         map[string]*code
	tokens        map[string]issuedToken
	verifyTokens  []string
	subscription  *Subscription
	subscribing   bool
	lastID        int64 // of subscriptions and deliveries
	deliveries    []*Delivery
	held          []*Delivery
	open          int // deliveries that may still be attempted, not counting held ones
	faults        []Fault
	counters      counters
	refreshFlight map[int64]int
}

// New returns a Server; it must be closed. It panics on a Config that
// contradicts itself, since only a programmer can repair that.
func New(c Config) *Server {
	if c.Clock == nil {
		c.Clock = standin.SystemClock{}
	}
	setDefault(&c.CallbackTimeout, 2*time.Second)
	if c.Callbacks == nil {
		c.Callbacks = http.DefaultTransport
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], c.Seed)
	s := &Server{
		clock: c.Clock,
		client: &http.Client{
			Transport:     c.Callbacks,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout:        c.CallbackTimeout,
		faultHook:      c.Fault,
		appID:          c.ClientID,
		callbackDomain: c.CallbackDomain,
		rng:            rand.NewChaCha8(seed),
		settings:       c.Settings.WithDefaults(),
		population:     newPopulation(c.Athletes),
		codes:          map[string]*code{},
		tokens:         map[string]issuedToken{},
		counters:       newCounters(),
		refreshFlight:  map[int64]int{},
	}
	if err := s.settings.Validate(); err != nil {
		panic("strava: " + err.Error())
	}
	s.signingKey = s.newSecret()
	appSecret := c.ClientSecret
	setDefault(&appSecret, s.newSecret())
	s.appSecret.Store(&appSecret)
	setDefault(&s.appID, int64(100_000+s.rng.Uint64()%100_000))
	s.lastID = int64(200_000 + s.rng.Uint64()%100_000)
	s.running, s.stop = context.WithCancel(context.Background())
	s.mux = http.NewServeMux()
	s.routeOAuth()
	s.routeAPI()
	s.routePush()
	s.routeControl()
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends deliveries and hanging requests and waits until no callback is being called.
func (s *Server) Close() {
	s.mu.Lock() // an attempt begins under the lock, so none begins after this
	s.stop()
	s.mu.Unlock()
	s.attempts.Wait()
}

// Client returns the application's client id and secret.
func (s *Server) Client() (id int64, secret string) { return s.appID, *s.appSecret.Load() }

// RotateClientSecret gives the application a new client secret, as its owner
// can in Strava's settings. The old one is refused from then on.
func (s *Server) RotateClientSecret() (secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret = s.newSecret()
	s.appSecret.Store(&secret)
	return secret
}

// newSecret makes a token, code or secret: 40 hex digits, as Strava's are.
func (s *Server) newSecret() string {
	var b [20]byte
	_, _ = s.rng.Read(b[:]) // Never fails.
	return hex.EncodeToString(b[:])
}

// nextID numbers subscriptions and deliveries.
func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// endpoint is one of Strava's URLs.
type endpoint struct {
	name string
	// identify finds out, before any fault, who calls and may refine the name.
	identify func(*call)
	// meter counts the call and notes the rate headers of its answer; nil where
	// Strava sends none. It takes the server's lock itself.
	meter func(*call)
	// serve answers. It takes the server's lock itself.
	serve func(*call) answer
}

// call is one request to Strava.
type call struct {
	*http.Request
	endpoint string
	athlete  int64       // 0 when unknown
	params   url.Values  // of the body, and of the query where Strava reads it
	fault    Fault       // Kind is "" when there is none
	rate     http.Header // the rate headers of the answer
	exceeded string      // the limit that the call exceeds, or ""
}

// page is the page number of a list of activities; 0 for any other call.
func (c *call) page() int {
	if c.endpoint != EndpointActivities {
		return 0
	}
	page, err := strconv.Atoi(cmp.Or(c.URL.Query().Get("page"), "1"))
	if err != nil {
		return 0 // refused later
	}
	return page
}

// activity is the id of the single activity that is read; 0 for any other call.
func (c *call) activity() int64 {
	if c.endpoint != EndpointActivity {
		return 0
	}
	return pathID(c.Request, "id")
}

// answer is what Strava says to a call.
type answer struct {
	status      int
	header      http.Header
	contentType string
	body        []byte
}

// with returns a with the headers added to its own.
func (a answer) with(header http.Header) answer {
	all := http.Header{}
	maps.Copy(all, a.header)
	maps.Copy(all, header)
	a.header = all
	return a
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own types come here
	}
	return bodyAnswer(status, body)
}

// bodyAnswer has a body that is served as JSON, whatever it is.
func bodyAnswer(status int, body []byte) answer {
	return answer{status: status, contentType: "application/json; charset=utf-8", body: body}
}

func htmlAnswer(status int, body string) answer {
	return answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(body)}
}

// faultError is one entry of Strava's error body.
type faultError struct {
	Resource string `json:"resource"`
	Field    string `json:"field"`
	Code     string `json:"code"`
}

// refuse answers with Strava's error shape; without errors the list is empty.
func refuse(status int, message string, errors ...faultError) answer {
	return jsonAnswer(status, struct {
		Message string       `json:"message"`
		Errors  []faultError `json:"errors"`
	}{message, append([]faultError{}, errors...)})
}

func badRequest(resource, field, code string) answer {
	return refuse(http.StatusBadRequest, "Bad Request", faultError{resource, field, code})
}

func unauthorized(resource, field, code string) answer {
	return refuse(http.StatusUnauthorized, "Authorization Error", faultError{resource, field, code})
}

func appInactive() answer {
	return refuse(http.StatusForbidden, "Forbidden", faultError{"Application", "Status", "Inactive"})
}

// route serves e under each of the patterns.
func (s *Server) route(e endpoint, patterns ...string) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, endpoint: e.name}
		e.identify(c)
		finished := s.enter(c)
		a, sent := s.respond(c, e)
		// Counted before the answer is written: whoever has read the answer
		// finds it counted.
		finished(a.status)
		if !sent {
			disconnect(w, c.fault.Kind == FaultReset)
			return
		}
		write(w, r, a)
	}
	for _, p := range patterns {
		s.mux.HandleFunc(p, handler)
	}
}

// respond applies the fault of the call, if any, around serving it; sent is
// false when the client gets no answer.
func (s *Server) respond(c *call, e endpoint) (a answer, sent bool) {
	c.fault = s.takeFault(c)
	if c.fault.Delay > 0 {
		select {
		case <-time.After(time.Duration(c.fault.Delay)):
		case <-c.Context().Done():
		case <-s.running.Done():
		}
	}
	kind := faultKinds[c.fault.Kind]
	if e.meter != nil && (!kind.edge || c.fault.RateHeaders == RateHeadersOn) {
		e.meter(c)
	}
	switch {
	case c.fault.Kind == FaultReset:
		return answer{}, false
	case c.fault.Kind == FaultHang:
		select {
		case <-c.Context().Done():
		case <-s.running.Done():
		}
		return answer{}, false
	case kind.edge:
		a = kind.answer
	default:
		a = e.serve(c)
	}
	switch c.fault.Kind {
	case FaultDrop:
		return a, false
	case Fault200Truncated:
		a.body = a.body[:len(a.body)/2]
	}
	if c.fault.RateHeaders != RateHeadersOff {
		a = a.with(c.rate)
	}
	return a, true
}

// write sends a, compressed where the client asks for it, as Strava's content
// delivery network does.
func write(w http.ResponseWriter, r *http.Request, a answer) {
	maps.Copy(w.Header(), a.header)
	if a.contentType != "" {
		w.Header().Set("Content-Type", a.contentType)
	}
	if len(a.body) > 0 && acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		a.body = compressed(a.body)
	}
	w.Header().Add("Vary", "Accept-Encoding")
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that left needs no answer
}

// acceptsGzip reads Accept-Encoding as far as clients use it: a list of names,
// each with a quality that refuses it when it is 0.
func acceptsGzip(r *http.Request) bool {
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if q, err := strconv.ParseFloat(quality, 64); strings.EqualFold(name, "gzip") && (err != nil || q > 0) {
			return true
		}
	}
	return false
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a bytes.Buffer cannot fail
	_ = z.Close()
	return b.Bytes()
}

// disconnect ends the connection without an answer.
func disconnect(w http.ResponseWriter, reset bool) {
	if h, ok := w.(http.Hijacker); ok && reset {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
				_ = tcp.SetLinger(0) // RST in place of FIN
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// readParams reads the parameters of a body, form or JSON (both are seen in
// the wild), over those of the query where withQuery.
func readParams(r *http.Request, withQuery bool) url.Values {
	params := url.Values{}
	if withQuery {
		params = r.URL.Query()
	}
	const limit = 64 << 10
	r.Body = http.MaxBytesReader(nil, r.Body, limit)
	switch contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); contentType {
	case "application/json":
		var fields map[string]any
		d := json.NewDecoder(r.Body)
		d.UseNumber()
		if d.Decode(&fields) == nil {
			for name, v := range fields {
				params.Set(name, fmt.Sprint(v))
			}
		}
	case "multipart/form-data":
		_ = r.ParseMultipartForm(limit) // what cannot be read is missing
		copyParams(params, r.PostForm)
	default:
		// ParseForm ignores the body of a DELETE, where Strava reads it.
		method := r.Method
		r.Method = http.MethodPost
		_ = r.ParseForm()
		r.Method = method
		copyParams(params, r.PostForm)
	}
	return params
}

func copyParams(to, from url.Values) {
	for name, values := range from {
		to[name] = values
	}
}

// checkClient compares the application's credentials in params; ok is false
// when a is the refusal.
func (s *Server) checkClient(params url.Values) (a answer, ok bool) {
	switch {
	case params.Get("client_id") != strconv.FormatInt(s.appID, 10):
		return badRequest("Application", "client_id", "invalid"), false
	case params.Get("client_secret") != *s.appSecret.Load():
		return badRequest("Application", "client_secret", "invalid"), false
	}
	return answer{}, true
}
