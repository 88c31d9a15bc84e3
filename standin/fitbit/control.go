package fitbit

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

//go:embed control.html
var controlHTML []byte

// routeControl serves the page and the JSON routes by which people and tests
// make things happen. Each is a method of Server.
func (s *Server) routeControl() {
	s.mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(controlHTML) // a client that left needs no page
	})
	s.control("GET /control/people", func(*http.Request) (any, error) { return s.People(), nil })
	s.control("GET /control/people/{user}/days/{date}", func(r *http.Request) (any, error) {
		return s.Day(r.PathValue("user"), r.PathValue("date"))
	})
	s.control("POST /control/people/{user}/deauthorize", func(r *http.Request) (any, error) {
		return nil, s.Deauthorize(r.PathValue("user"))
	})
	s.control("PUT /control/people/{user}/token-life", func(r *http.Request) (any, error) {
		life, err := decode[struct {
			LeftSeconds int `json:"left_seconds"`
		}](r)
		if err != nil {
			return nil, err
		}
		return nil, s.SetTokenLife(r.PathValue("user"), time.Duration(life.LeftSeconds)*time.Second)
	})
	s.control("GET /control/faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	s.control("POST /control/faults", func(r *http.Request) (any, error) {
		f, err := decode[Fault](r)
		if err != nil {
			return nil, err
		}
		return nil, s.Inject(f)
	})
	s.control("DELETE /control/faults", func(*http.Request) (any, error) {
		s.ClearFaults()
		return nil, nil
	})
	s.control("GET /control/counters", func(*http.Request) (any, error) { return s.Counters(), nil })
	s.control("DELETE /control/counters", func(*http.Request) (any, error) {
		s.ResetCounters()
		return nil, nil
	})
	s.control("GET /control/secrets", func(*http.Request) (any, error) { return s.Secrets(), nil })
}

// control serves what f returns as JSON: 200, or 204 for nothing, 400 for
// ErrInvalid and 404 for ErrNotFound.
func (s *Server) control(pattern string, f func(*http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		v, err := f(r)
		switch {
		case errors.Is(err, ErrNotFound):
			code = http.StatusNotFound
		case errors.Is(err, ErrInvalid):
			code = http.StatusBadRequest
		case v == nil:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err != nil {
			v = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
	})
}

// decode reads a JSON body; an empty one is the zero value. Members that T does
// not have are refused, since they are typing errors of a person.
func decode[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
		return v, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return v, nil
}
