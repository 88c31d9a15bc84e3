package strava

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"time"
)

//go:embed control.html
var controlHTML string

var controlPage = template.Must(template.New("control").Parse(controlHTML))

// status is the overview that GET /control/status answers.
type status struct {
	Now          time.Time     `json:"now"`
	ClientID     int64         `json:"client_id"`
	Settings     Settings      `json:"settings"`
	Usage        Usage         `json:"usage"`
	Subscription *Subscription `json:"subscription"`
	Faults       []Fault       `json:"faults"`
	Athletes     int           `json:"athletes"`
	Connected    int           `json:"connected"`
}

// routeControl serves the page and the JSON routes by which people and tests
// make things happen. Each is a method of Server.
func (s *Server) routeControl() {
	s.mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = controlPage.Execute(w, struct { // a client that left needs no page
			Endpoints   []string
			Kinds       []FaultKind
			RateHeaders []RateHeaders
		}{endpointNames(), FaultKinds(), rateHeaderChoices})
	})
	s.control("GET /control/status", func(*http.Request) (any, error) {
		st := status{
			Now: s.clock.Now().UTC(), ClientID: s.appID, Settings: s.Settings(), Usage: s.Usage(),
			Subscription: s.Subscription(), Faults: s.Faults(),
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		st.Athletes, st.Connected = len(s.population.ids), s.population.connected()
		return st, nil
	})
	s.control("PATCH /control/settings", func(r *http.Request) (any, error) {
		// Members that are absent keep their values.
		settings := s.Settings()
		if err := decodeInto(r, &settings); err != nil {
			return nil, err
		}
		err := s.UpdateSettings(func(current *Settings) { *current = settings })
		return settings, err
	})
	s.control("PUT /control/usage", func(r *http.Request) (any, error) {
		u, err := decode[Usage](r)
		if err == nil {
			s.SetUsage(u)
		}
		return s.Usage(), err
	})

	s.control("GET /control/athletes", func(r *http.Request) (any, error) {
		list := s.Athletes()
		offset, limit := 0, len(list)
		if v := r.URL.Query().Get("offset"); v != "" {
			offset, _ = strconv.Atoi(v)
		}
		if v := r.URL.Query().Get("limit"); v != "" {
			limit, _ = strconv.Atoi(v)
		}
		from := min(max(offset, 0), len(list))
		return list[from:min(from+max(limit, 0), len(list))], nil
	})
	s.control("GET /control/athletes/{athlete}/activities", func(r *http.Request) (any, error) {
		return s.Activities(pathID(r, "athlete"))
	})
	s.control("POST /control/athletes/{athlete}/activities", func(r *http.Request) (any, error) {
		n, err := decode[NewActivity](r)
		if err != nil {
			return nil, err
		}
		id, err := s.AddActivity(pathID(r, "athlete"), n)
		return map[string]int64{"id": id}, err
	})
	s.control("PATCH /control/athletes/{athlete}/activities/{activity}", func(r *http.Request) (any, error) {
		e, err := decode[Edit](r)
		if err != nil {
			return nil, err
		}
		return nil, s.EditActivity(pathID(r, "athlete"), pathID(r, "activity"), e)
	})
	s.control("PATCH /control/athletes/{athlete}/activities/{activity}/fields", func(r *http.Request) (any, error) {
		fields, err := decode[map[string]json.RawMessage](r)
		if err != nil {
			return nil, err
		}
		return nil, s.SetFields(pathID(r, "athlete"), pathID(r, "activity"), fields)
	})
	s.control("DELETE /control/athletes/{athlete}/activities/{activity}", func(r *http.Request) (any, error) {
		return nil, s.DeleteActivity(pathID(r, "athlete"), pathID(r, "activity"))
	})
	s.control("PUT /control/athletes/{athlete}/activities/{activity}/corrupt", func(r *http.Request) (any, error) {
		return nil, s.CorruptActivity(pathID(r, "athlete"), pathID(r, "activity"))
	})
	s.control("DELETE /control/athletes/{athlete}/activities/{activity}/corrupt", func(r *http.Request) (any, error) {
		return nil, s.RepairActivity(pathID(r, "athlete"), pathID(r, "activity"))
	})
	s.control("POST /control/athletes/{athlete}/deauthorize", func(r *http.Request) (any, error) {
		return nil, s.Deauthorize(pathID(r, "athlete"))
	})
	s.control("PUT /control/athletes/{athlete}/token-life", func(r *http.Request) (any, error) {
		life, err := decode[struct {
			Left Duration `json:"left"`
		}](r)
		if err != nil {
			return nil, err
		}
		return nil, s.SetTokenLife(pathID(r, "athlete"), time.Duration(life.Left))
	})

	s.control("POST /control/webhook", func(r *http.Request) (any, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		outcome, err := s.SendWebhook(r.Context(), body)
		return map[string]string{"outcome": outcome}, err
	})
	s.control("POST /control/release", func(r *http.Request) (any, error) {
		o, err := decode[struct {
			Order Order `json:"order"`
		}](r)
		if err != nil {
			return nil, err
		}
		return nil, s.Release(o.Order)
	})
	s.control("GET /control/deliveries", func(*http.Request) (any, error) { return s.Deliveries(), nil })

	s.control("POST /control/faults", func(r *http.Request) (any, error) {
		f, err := decode[Fault](r)
		if err != nil {
			return nil, err
		}
		return nil, s.Inject(f)
	})
	s.control("GET /control/faults", func(*http.Request) (any, error) { return s.Faults(), nil })
	s.control("DELETE /control/faults", func(*http.Request) (any, error) {
		s.ClearFaults()
		return nil, nil
	})

	s.control("GET /control/counters", func(*http.Request) (any, error) { return s.Counters(), nil })
	s.control("DELETE /control/counters", func(*http.Request) (any, error) {
		s.ResetCounters()
		return nil, nil
	})
	s.control("POST /control/client-secret", func(*http.Request) (any, error) {
		return map[string]string{"client_secret": s.RotateClientSecret()}, nil
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
		case err != nil:
			code = http.StatusInternalServerError
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

// decode reads a JSON body; an empty one is the zero value. Members that T
// does not have are refused, since they are typing errors of a person.
func decode[T any](r *http.Request) (T, error) {
	var v T
	err := decodeInto(r, &v)
	return v, err
}

func decodeInto(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// pathID reads an id from the path; 0, which nobody has, when it is no number.
func pathID(r *http.Request, name string) int64 {
	id, _ := strconv.ParseInt(r.PathValue(name), 10, 64)
	return id
}
