package fitbit_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paceline/paceline/standin/fitbit"
)

// control calls a route of the control API.
func (w *world) control(method, path, body string) reply {
	w.t.Helper()
	r, err := http.NewRequest(method, "http://fitbit.test/control"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.do(r)
}

func TestControlRoutes(t *testing.T) {
	w := newWorld(t)
	p := w.connect(ada)
	_, secret := w.Client()
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "", "", 200, "<h1>Fitbit stand-in</h1>"},
		{"GET", "/people", "", 200, `"id":"GGNJL9","display_name":"Ada K."`},
		{"GET", "/people/GGNJL9/days/2026-11-21", "", 200, `"steps":`},
		{"GET", "/people/GGNJL9/days/today", "", 400, `"error"`},
		{"GET", "/people/UNKNOWN/days/2026-11-21", "", 404, `"error"`},
		{"PUT", "/people/GGNJL9/token-life", `{"left_seconds":0}`, 204, ""},
		{"PUT", "/people/GGNJL9/token-life", `{"left":0}`, 400, "unknown field"},
		{"PUT", "/people/26FWFL/token-life", `{"left_seconds":0}`, 404, "not found"},
		{"POST", "/faults", `{"endpoint":"refresh","status":503,"count":-1}`, 204, ""},
		{"POST", "/faults", `{"kind":"explode"}`, 400, "invalid"},
		{"GET", "/faults", "", 200, `"kind":"answer"`},
		{"DELETE", "/faults", "", 204, ""},
		{"GET", "/counters", "", 200, `"endpoint":"exchange","user":"GGNJL9","status":200,"count":1`},
		{"DELETE", "/counters", "", 204, ""},
		{"GET", "/secrets", "", 200, secret},
		{"POST", "/people/GGNJL9/deauthorize", "", 204, ""},
		{"POST", "/people/GGNJL9/deauthorize", "", 404, "not found"},
	} {
		if r := w.control(c.method, c.path, c.body); r.status != c.status || !strings.Contains(r.body, c.want) {
			t.Errorf("%s %s %s: status %d, %s", c.method, c.path, c.body, r.status, r.body)
		}
	}
	w.want("the token", w.get(profile, p.Access), 401, "invalid_token")
	if len(w.Faults()) != 0 || w.Counters().Total(fitbit.EndpointExchange, "") != 0 {
		t.Error("faults or counters are left")
	}
}
