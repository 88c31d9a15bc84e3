package strava

import (
	_ "embed"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/paceline/paceline/standin"
)

const provider = "Strava"

//go:embed control.html
var controlHTML string

var controlPage = standin.ControlPage(controlHTML)

// controlData is what the control page shows at first.
type controlData struct {
	Provider    string
	Endpoints   []string
	Kinds       []FaultKind
	RateHeaders []RateHeaders
}

// routeControl serves the control page and the control API. Each route calls a
// method of Server.
func (s *Server) routeControl() {
	standin.HandleControlPage(s.mux, controlPage, controlData{provider, endpointNames(), FaultKinds(), rateHeaderChoices})
	standin.HandleControlled[Fault, Counters, Secrets](s.mux, s)
	s.controlApplication()
	s.controlAthletes()
	s.controlActivities()
	s.controlWebhooks()
}

func (s *Server) control(pattern string, f func(*http.Request) (any, error)) {
	standin.HandleControl(s.mux, pattern, f)
}

// overview is the response of GET /control/status.
type overview struct {
	Now          time.Time     `json:"now"`
	ClientID     int64         `json:"client_id"`
	Settings     Settings      `json:"settings"`
	Usage        Usage         `json:"usage"`
	Subscription *Subscription `json:"subscription"`
	Faults       []Fault       `json:"faults"`
	Athletes     int           `json:"athletes"`
	Connected    int           `json:"connected"`
}

func (s *Server) controlApplication() {
	s.control("GET /control/status", func(*http.Request) (any, error) {
		o := overview{
			Now: s.clock.Now().UTC(), ClientID: s.appID, Settings: s.Settings(), Usage: s.Usage(),
			Subscription: s.Subscription(), Faults: s.Faults(),
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		o.Athletes, o.Connected = len(s.population.ids), s.population.connected()
		return o, nil
	})
	s.control("PATCH /control/settings", func(r *http.Request) (any, error) {
		settings := s.Settings()
		if err := standin.DecodeInto(r, &settings); err != nil {
			return nil, err
		}
		err := s.UpdateSettings(func(current *Settings) { *current = settings })
		return settings, err
	})
	s.control("PUT /control/usage", func(r *http.Request) (any, error) {
		u, err := standin.Decode[Usage](r)
		if err == nil {
			s.SetUsage(u)
		}
		return s.Usage(), err
	})
	s.control("POST /control/client-secret", func(*http.Request) (any, error) {
		return map[string]string{"client_secret": s.RotateClientSecret()}, nil
	})
}

func (s *Server) controlAthletes() {
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
	s.control("POST /control/athletes/{athlete}/deauthorize", func(r *http.Request) (any, error) {
		return nil, s.Deauthorize(pathID(r, "athlete"))
	})
	s.control("PUT /control/athletes/{athlete}/token-life", func(r *http.Request) (any, error) {
		life, err := standin.Decode[struct {
			Left Duration `json:"left"`
		}](r)
		if err != nil {
			return nil, err
		}
		return nil, s.SetTokenLife(pathID(r, "athlete"), time.Duration(life.Left))
	})
}

func (s *Server) controlActivities() {
	const all, one = "/control/athletes/{athlete}/activities", "/control/athletes/{athlete}/activities/{activity}"
	s.control("GET "+all, func(r *http.Request) (any, error) { return s.Activities(pathID(r, "athlete")) })
	s.control("POST "+all, func(r *http.Request) (any, error) {
		n, err := standin.Decode[NewActivity](r)
		if err != nil {
			return nil, err
		}
		id, err := s.AddActivity(pathID(r, "athlete"), n)
		return map[string]int64{"id": id}, err
	})
	s.control("PATCH "+one, func(r *http.Request) (any, error) {
		e, err := standin.Decode[Edit](r)
		if err != nil {
			return nil, err
		}
		return nil, s.EditActivity(pathID(r, "athlete"), pathID(r, "activity"), e)
	})
	s.control("PATCH "+one+"/fields", func(r *http.Request) (any, error) {
		fields, err := standin.Decode[map[string]json.RawMessage](r)
		if err != nil {
			return nil, err
		}
		return nil, s.SetFields(pathID(r, "athlete"), pathID(r, "activity"), fields)
	})
	change := func(pattern string, change func(athlete, activity int64) error) {
		s.control(pattern, func(r *http.Request) (any, error) {
			return nil, change(pathID(r, "athlete"), pathID(r, "activity"))
		})
	}
	change("DELETE "+one, s.DeleteActivity)
	change("PUT "+one+"/corrupt", s.CorruptActivity)
	change("DELETE "+one+"/corrupt", s.RepairActivity)
}

func (s *Server) controlWebhooks() {
	s.control("POST /control/webhook", func(r *http.Request) (any, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		outcome, err := s.SendWebhook(r.Context(), body)
		return map[string]string{"outcome": outcome}, err
	})
	s.control("POST /control/release", func(r *http.Request) (any, error) {
		o, err := standin.Decode[struct {
			Order Order `json:"order"`
		}](r)
		if err != nil {
			return nil, err
		}
		return nil, s.Release(o.Order)
	})
	s.control("GET /control/deliveries", func(*http.Request) (any, error) { return s.Deliveries(), nil })
}

// pathID returns the id in the path. It returns 0, which is no id, if the path
// has no number there.
func pathID(r *http.Request, name string) int64 {
	id, _ := strconv.ParseInt(r.PathValue(name), 10, 64)
	return id
}
