package fitbit

import (
	_ "embed"
	"net/http"
	"time"

	"github.com/paceline/paceline/standin"
)

//go:embed control.html
var controlHTML string

var controlPage = standin.ControlPage(controlHTML)

// routeControl serves the control page and the control API. Each route calls a
// method of Server.
func (s *Server) routeControl() {
	standin.HandleControlPage(s.mux, controlPage, struct{ Provider string }{provider})
	standin.HandleControlled[Fault, Counters, Secrets](s.mux, s)
	control := func(pattern string, f func(*http.Request) (any, error)) {
		standin.HandleControl(s.mux, pattern, f)
	}
	control("GET /control/people", func(*http.Request) (any, error) { return s.Users(), nil })
	control("GET /control/people/{user}/days/{date}", func(r *http.Request) (any, error) {
		return s.Day(r.PathValue("user"), r.PathValue("date"))
	})
	control("POST /control/people/{user}/deauthorize", func(r *http.Request) (any, error) {
		return nil, s.Deauthorize(r.PathValue("user"))
	})
	control("PUT /control/people/{user}/token-life", func(r *http.Request) (any, error) {
		life, err := standin.Decode[struct {
			LeftSeconds int `json:"left_seconds"`
		}](r)
		if err != nil {
			return nil, err
		}
		return nil, s.SetTokenLife(r.PathValue("user"), time.Duration(life.LeftSeconds)*time.Second)
	})
}
