package fitbit

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrNotFound is returned for a person whom this Fitbit does not have, or who
// is not connected.
var ErrNotFound = errors.New("not found")

// ErrInvalid is returned for a value that the stand-in does not accept.
var ErrInvalid = errors.New("invalid")

// Config is what a Server is made of. The zero Config is a Fitbit with some people.
type Config struct {
	// Now is the source of time; default time.Now.
	Now func() time.Time
	// Seed makes tokens repeatable. Two servers with one seed issue the same
	// tokens, so a long-lived process takes a random seed.
	Seed uint64
	// ClientID and ClientSecret are the application's; default made from the seed.
	ClientID, ClientSecret string
	// People have accounts here; default SomePeople. Ids must differ.
	People []Person
	// HourlyLimit is how many calls to the API the application may make for one
	// person in an hour; default 150 (Fitbit Web API, Rate Limits).
	HourlyLimit int
}

// Server is one Fitbit with one application. It is safe for concurrent use.
type Server struct {
	now         func() time.Time
	clientID    string
	secret      string
	hourlyLimit int
	mux         *http.ServeMux
	running     context.Context // ends at Close
	stop        context.CancelFunc

	mu            sync.Mutex // guards all below
	rng           *rand.ChaCha8
	people        []*account
	codes         map[string]*code
	tokens        map[string]*token // all that were ever issued
	faults        []Fault
	counters      counters
	refreshFlight map[string]int
}

// New returns a Server; it must be closed. It panics on a Config in which two
// people have one id, since only a programmer can repair that.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.People == nil {
		c.People = SomePeople()
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], c.Seed)
	s := &Server{
		now:           c.Now,
		hourlyLimit:   cmp.Or(c.HourlyLimit, 150),
		mux:           http.NewServeMux(),
		rng:           rand.NewChaCha8(seed),
		codes:         map[string]*code{},
		tokens:        map[string]*token{},
		counters:      newCounters(),
		refreshFlight: map[string]int{},
	}
	for _, p := range c.People {
		if s.account(p.ID) != nil {
			panic("fitbit: two people have the id " + p.ID)
		}
		s.people = append(s.people, &account{Person: p})
	}
	// Fitbit's own look like 22942C and 32 hex digits.
	s.clientID = cmp.Or(c.ClientID, strings.ToUpper(s.newSecret(3)))
	s.secret = cmp.Or(c.ClientSecret, s.newSecret(16))
	s.running, s.stop = context.WithCancel(context.Background())
	s.routeOAuth()
	s.routeAPI()
	s.routeControl()
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends requests that hang.
func (s *Server) Close() { s.stop() }

// Client returns the application's client id and secret.
func (s *Server) Client() (id, secret string) { return s.clientID, s.secret }

// newSecret makes n random bytes, in hex digits.
func (s *Server) newSecret(n int) string {
	b := make([]byte, n)
	_, _ = s.rng.Read(b) // never fails
	return hex.EncodeToString(b)
}

// endpoint is one of Fitbit's URLs.
type endpoint struct {
	name string
	// identify finds out, before any fault, which person the call is about, and
	// may refine the name. The caller holds the server's lock.
	identify func(*call)
	// serve answers. The caller holds the server's lock.
	serve func(*call) answer
}

// call is one request to Fitbit.
type call struct {
	*http.Request
	endpoint string
	user     string // "" when unknown
	params   url.Values
}

// answer is Fitbit's answer to a call.
type answer struct {
	status      int
	header      http.Header
	contentType string
	body        []byte
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own types come here
	}
	return answer{status: status, contentType: "application/json;charset=utf-8", body: body}
}

func htmlAnswer(status int, body string) answer {
	return answer{status: status, contentType: "text/html; charset=utf-8", body: []byte(body)}
}

// apiError is one entry of Fitbit's error body (Fitbit Web API, Error Handling).
type apiError struct {
	Type    string `json:"errorType"`
	Field   string `json:"fieldName,omitempty"`
	Message string `json:"message"`
}

// refuse answers with Fitbit's error shape.
func refuse(status int, e apiError) answer {
	return jsonAnswer(status, struct {
		Errors  []apiError `json:"errors"`
		Success bool       `json:"success"`
	}{[]apiError{e}, false})
}

// refuseOAuth refuses a token or a client. Fitbit's messages repeat the token
// that they refuse (a body as reported to home-assistant/core, issue 141223).
func refuseOAuth(status int, kind, format string, args ...any) answer {
	return refuse(status, apiError{Type: kind, Message: fmt.Sprintf(format, args...) +
		". Visit https://dev.fitbit.com/docs/oauth2 for more information on the Fitbit Web API authorization process."})
}

// route serves e under pattern.
func (s *Server) route(e endpoint, pattern string) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		_ = r.ParseForm() // what cannot be read is missing
		c := &call{Request: r, endpoint: e.name, params: r.PostForm}
		if r.Method == http.MethodGet {
			c.params = r.Form
		}
		finished := s.enter(c, e)
		a, sent := s.respond(c, e)
		// Counted before the answer is written, so that the reader of an answer
		// finds it counted.
		finished(a.status, sent)
		if !sent {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), a.header)
		if a.contentType != "" {
			w.Header().Set("Content-Type", a.contentType)
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body) // a client that left needs no answer
	})
}

// respond applies the fault of the call, if any, around serving it; sent is
// false when the client gets no answer.
func (s *Server) respond(c *call, e endpoint) (a answer, sent bool) {
	f := s.takeFault(c)
	if f.DelayMilliseconds > 0 {
		select {
		case <-time.After(time.Duration(f.DelayMilliseconds) * time.Millisecond):
		case <-c.Context().Done():
		case <-s.running.Done():
		}
	}
	switch f.Kind {
	case FaultHang:
		select {
		case <-c.Context().Done():
		case <-s.running.Done():
		}
		return answer{}, false
	case FaultReset:
		return answer{}, false
	case FaultAnswer:
		return f.answer(), true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return e.serve(c), f.Kind != FaultDrop
}
