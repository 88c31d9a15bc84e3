package fitbit

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/standin"
)

// The errors that methods of [Server] return.
var (
	// ErrNotFound is returned for a user who does not exist or is not connected.
	ErrNotFound = standin.ErrNotFound
	// ErrInvalid is returned for a value that the stand-in does not accept.
	ErrInvalid = standin.ErrInvalid
)

// Config configures a [Server]. The zero Config is a Fitbit with some users.
type Config struct {
	// Now returns the time; default time.Now.
	Now func() time.Time
	// Seed makes tokens repeatable. Two servers with one seed issue the same
	// tokens, so a process that serves a stand-in takes a random seed.
	Seed uint64
	// ClientID and ClientSecret are the application's; default made from the
	// seed.
	ClientID, ClientSecret string
	// CallbackDomain is the application's domain for redirect URIs. localhost and
	// 127.0.0.1 are always allowed.
	CallbackDomain string
	// Users have accounts here; default SomeUsers. Ids must differ.
	Users []User
	// HourlyLimit is how many calls to the API the application may make for one
	// user in an hour; default 150 (Fitbit Web API, Rate Limits).
	HourlyLimit int
}

// Server is one Fitbit with one application. It is safe for concurrent use.
type Server struct {
	now         func() time.Time
	clientID    string
	secret      string
	callback    string // domain
	hourlyLimit int
	mux         *http.ServeMux
	running     context.Context // ends at Close
	stop        context.CancelFunc
	faults      *standin.Faults[Fault]
	calls       *standin.CallCounter[string]

	mu       sync.Mutex // guards all below
	random   *rand.ChaCha8
	accounts []*account
	codes    map[string]*code
	tokens   map[string]*token // all that were ever issued
	refused  map[string]int    // refreshes with an invalid refresh token, by user
	repeated map[string]int    // refreshes that got the same response again, by user
}

// New returns a Server. The caller must close it. New panics if two users have
// one id.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Users == nil {
		c.Users = SomeUsers()
	}
	s := &Server{
		now:         c.Now,
		callback:    c.CallbackDomain,
		hourlyLimit: cmp.Or(c.HourlyLimit, 150),
		mux:         http.NewServeMux(),
		faults:      standin.NewFaults(func(f *Fault) *int { return &f.Count }),
		calls:       standin.NewCallCounter[string](),
		random:      standin.NewRandom(c.Seed),
		codes:       map[string]*code{},
		tokens:      map[string]*token{},
		refused:     map[string]int{},
		repeated:    map[string]int{},
	}
	for _, u := range c.Users {
		if s.account(u.ID) != nil {
			panic("fitbit: two users have the id " + u.ID)
		}
		s.accounts = append(s.accounts, &account{User: u})
	}
	// Fitbit's own look like 22942C and 32 hexadecimal digits.
	s.clientID = cmp.Or(c.ClientID, strings.ToUpper(s.newSecret(3)))
	s.secret = cmp.Or(c.ClientSecret, s.newSecret(16))
	s.running, s.stop = context.WithCancel(context.Background())
	s.routeOAuth()
	s.routeAPI()
	s.routeControl()
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends requests that hang.
func (s *Server) Close() { s.stop() }

// Client returns the application's client id and secret.
func (s *Server) Client() (id, secret string) { return s.clientID, s.secret }

// newSecret returns n random bytes in hexadecimal digits.
func (s *Server) newSecret(n int) string { return standin.NewSecret(s.random, n) }

// endpoint is one of Fitbit's URLs.
type endpoint struct {
	name string
	// identify finds the user whom the call is about, before any fault, and may
	// refine the name. The caller holds the server's lock.
	identify func(*call)
	// serve returns the response. The caller holds the server's lock.
	serve func(*call) response
}

// call is one request to Fitbit.
type call struct {
	*http.Request
	endpoint string
	user     string // "" when unknown
	params   url.Values
}

type response = standin.Response

func jsonResponse(status int, v any) response {
	return standin.JSON(status, "application/json;charset=utf-8", v)
}

// apiError is one entry of Fitbit's error body (Fitbit Web API, Error Handling).
type apiError struct {
	Type    string `json:"errorType"`
	Field   string `json:"fieldName,omitempty"`
	Message string `json:"message"`
}

// refuse returns an error in Fitbit's shape.
func refuse(status int, e apiError) response {
	return jsonResponse(status, struct {
		Errors  []apiError `json:"errors"`
		Success bool       `json:"success"`
	}{[]apiError{e}, false})
}

// refuseOAuth refuses a token or a client. Fitbit's messages repeat the token
// that they refuse (a body as reported to home-assistant/core, issue 141223).
func refuseOAuth(status int, kind, format string, args ...any) response {
	return refuse(status, apiError{Type: kind, Message: fmt.Sprintf(format, args...) +
		". Visit https://dev.fitbit.com/docs/oauth2 for more information on the Fitbit Web API authorization process."})
}

// route serves e under pattern.
func (s *Server) route(e endpoint, pattern string) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		_ = r.ParseForm() // a parameter that cannot be read is missing
		c := &call{Request: r, endpoint: e.name, params: r.PostForm}
		if r.Method == http.MethodGet {
			c.params = r.Form
		}
		res, sent := s.count(c, e)
		if !sent {
			panic(http.ErrAbortHandler)
		}
		res.Write(w)
	})
}

// count serves a call and counts it. A client that has read the response finds
// the call counted.
func (s *Server) count(c *call, e endpoint) (res response, sent bool) {
	s.mu.Lock()
	e.identify(c)
	s.mu.Unlock()
	if c.endpoint == EndpointRefresh && c.user != "" {
		defer s.calls.StartRefresh(c.user)()
	}
	res, sent = s.respond(c, e)
	status := res.Status
	if !sent {
		status = 0
	}
	s.calls.Count(c.endpoint, c.user, status)
	return res, sent
}

// respond serves a call with its fault, if it has one. sent is false when the
// client gets no response.
func (s *Server) respond(c *call, e endpoint) (res response, sent bool) {
	f := s.faults.Take(func(f Fault) bool { return f.matches(c) })
	standin.Delay(c.Context(), s.running, time.Duration(f.DelayMilliseconds)*time.Millisecond)
	switch f.Kind {
	case FaultHang:
		standin.Hang(c.Context(), s.running)
		return response{}, false
	case FaultReset:
		return response{}, false
	case FaultAnswer:
		return f.response(), true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.serve(c), f.Kind != FaultDrop
}
