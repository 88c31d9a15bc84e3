package strava

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/standin"
)

// The errors that methods of [Server] return.
var (
	// ErrNotFound is returned for an athlete, an activity, a grant or a
	// subscription that does not exist.
	ErrNotFound = standin.ErrNotFound
	// ErrInvalid is returned for a value that the stand-in does not accept.
	ErrInvalid = standin.ErrInvalid
)

// Config configures a [Server]. The zero Config is a Strava without athletes.
type Config struct {
	// Clock is the source of time; default [standin.SystemClock].
	Clock standin.Clock
	// Seed makes tokens, ids and random choices repeatable. Two servers with one
	// seed issue the same tokens, so a process that serves a stand-in takes a
	// random seed.
	Seed uint64
	// ClientID and ClientSecret are the application's; default made from the
	// seed.
	ClientID     int64
	ClientSecret string
	// CallbackDomain is the application's domain for redirect URIs. localhost and
	// 127.0.0.1 are always allowed.
	CallbackDomain string
	// Athletes have accounts here. Ids must differ.
	Athletes []Athlete
	// Settings at the start.
	Settings Settings
	// CallbackTimeout limits a call to the webhook callback, in real time;
	// default 2 s (Strava, Webhooks).
	CallbackTimeout time.Duration
	// Callbacks sends handshakes and webhook events; default
	// http.DefaultTransport.
	Callbacks http.RoundTripper
	// Fault returns the fault of a request, before it is served; nil means none.
	Fault func(Request) *Fault
}

// Server is one Strava with one application. It is safe for concurrent use.
type Server struct {
	clock     standin.Clock
	client    *http.Client // for callbacks
	timeout   time.Duration
	faultHook func(Request) *Fault
	mux       *http.ServeMux
	running   context.Context // ends at Close
	stop      context.CancelFunc
	attempts  sync.WaitGroup
	faults    *standin.Faults[Fault]
	calls     *standin.CallCounter[int64]

	appID          int64
	appSecret      atomic.Pointer[string]
	callbackDomain string
	signingKey     string // of webhook events

	mu           sync.Mutex // guards all below
	random       *rand.ChaCha8
	settings     Settings
	meter        meter
	population   population
	codes        map[string]*code
	tokens       map[string]issuedToken
	verifyTokens []string
	subscription *Subscription
	subscribing  bool
	lastID       int64 // of subscriptions and deliveries
	deliveries   []*Delivery
	held         []*Delivery
	open         int // deliveries with another attempt to come; held ones do not count
	counters     counters
}

// New returns a Server. The caller must close it. New panics if two athletes have
// one id or the settings are invalid.
func New(c Config) *Server {
	if c.Clock == nil {
		c.Clock = standin.SystemClock{}
	}
	setDefault(&c.CallbackTimeout, 2*time.Second)
	if c.Callbacks == nil {
		c.Callbacks = http.DefaultTransport
	}
	s := &Server{
		clock: c.Clock,
		client: &http.Client{
			Transport:     c.Callbacks,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout:        c.CallbackTimeout,
		faultHook:      c.Fault,
		mux:            http.NewServeMux(),
		faults:         standin.NewFaults(func(f *Fault) *int { return &f.Count }),
		calls:          standin.NewCallCounter[int64](),
		appID:          c.ClientID,
		callbackDomain: c.CallbackDomain,
		random:         standin.NewRandom(c.Seed),
		settings:       c.Settings.WithDefaults(),
		population:     newPopulation(c.Athletes),
		codes:          map[string]*code{},
		tokens:         map[string]issuedToken{},
		counters:       newCounters(),
	}
	if err := s.settings.Validate(); err != nil {
		panic(fmt.Sprintf("strava: %v", err))
	}
	s.signingKey = s.newSecret()
	appSecret := c.ClientSecret
	setDefault(&appSecret, s.newSecret())
	s.appSecret.Store(&appSecret)
	setDefault(&s.appID, int64(100_000+s.random.Uint64()%100_000))
	s.lastID = int64(200_000 + s.random.Uint64()%100_000)
	s.running, s.stop = context.WithCancel(context.Background())
	s.routeOAuth()
	s.routeAPI()
	s.routePush()
	s.routeControl()
	return s
}

// ServeHTTP implements [http.Handler]. Each response says when it was made, by
// Strava's clock.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.clock.Now().UTC().Format(http.TimeFormat))
	s.mux.ServeHTTP(w, r)
}

// Close ends deliveries and requests that hang, and waits for the callbacks in
// progress.
func (s *Server) Close() {
	s.mu.Lock() // an attempt begins under the lock, so none begins after this
	s.stop()
	s.mu.Unlock()
	s.attempts.Wait()
}

// Client returns the application's client id and secret.
func (s *Server) Client() (id int64, secret string) { return s.appID, *s.appSecret.Load() }

// RotateClientSecret gives the application a new client secret, as its owner can
// do in Strava's settings. Strava then refuses the old one.
func (s *Server) RotateClientSecret() (secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret = s.newSecret()
	s.appSecret.Store(&secret)
	return secret
}

// newSecret returns a token, code or secret: 40 hexadecimal digits, like
// Strava's.
func (s *Server) newSecret() string { return standin.NewSecret(s.random, 20) }

// nextID returns the id of a new subscription or delivery.
func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}
