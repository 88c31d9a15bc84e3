package standin

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
)

// Controlled is what every stand-in lets a person or a test control: its faults
// F, its counters C and its secrets S.
type Controlled[F, C, S any] interface {
	Inject(F) error
	Faults() []F
	ClearFaults()
	Counters() C
	ResetCounters()
	Secrets() S
}

// HandleControlled adds the routes of the control API that every stand-in has.
func HandleControlled[F, C, S any](mux *http.ServeMux, s Controlled[F, C, S]) {
	HandleControl(mux, "POST /control/faults", func(r *http.Request) (any, error) {
		f, err := Decode[F](r)
		if err != nil {
			return nil, err
		}
		return nil, s.Inject(f)
	})
	HandleControl(mux, "GET /control/faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	HandleControl(mux, "DELETE /control/faults", func(*http.Request) (any, error) {
		s.ClearFaults()
		return nil, nil
	})
	HandleControl(mux, "GET /control/counters", func(*http.Request) (any, error) { return s.Counters(), nil })
	HandleControl(mux, "DELETE /control/counters", func(*http.Request) (any, error) {
		s.ResetCounters()
		return nil, nil
	})
	HandleControl(mux, "GET /control/secrets", func(*http.Request) (any, error) { return s.Secrets(), nil })
}

// HandleControl adds a route of the control API. It responds with what f returns,
// as JSON: 200, or 204 for nil, 400 for [ErrInvalid], 404 for [ErrNotFound] and
// 500 for any other error.
func HandleControl(mux *http.ServeMux, pattern string, f func(*http.Request) (any, error)) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusOK
		v, err := f(r)
		switch {
		case errors.Is(err, ErrNotFound):
			status = http.StatusNotFound
		case errors.Is(err, ErrInvalid):
			status = http.StatusBadRequest
		case err != nil:
			status = http.StatusInternalServerError
		case v == nil:
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err != nil {
			v = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the client may have disconnected
	})
}

// Decode returns the JSON body of a request as a T, or the zero T if the body is
// empty. It returns [ErrInvalid] for a body that is no T, and for members that T
// does not have: they are typing errors.
func Decode[T any](r *http.Request) (T, error) {
	var v T
	err := DecodeInto(r, &v)
	return v, err
}

// DecodeInto is like [Decode]. It changes only the members of v that the body
// has.
func DecodeInto(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

//go:embed control.html
var controlHTML string

// ControlPage returns the control page of a stand-in. The text defines the
// templates "sections", which is HTML, and "script", which is JavaScript and may
// use the functions that control.html defines.
func ControlPage(text string) *template.Template {
	return template.Must(template.Must(template.New("control").Parse(controlHTML)).Parse(text))
}

// HandleControlPage serves the control page. The data has a member Provider, the
// provider's name.
func HandleControlPage(mux *http.ServeMux, page *template.Template, data any) {
	mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, data) // the client may have disconnected
	})
}
