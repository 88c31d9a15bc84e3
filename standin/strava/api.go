package strava

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"time"

	"github.com/paceline/paceline/standin"
)

// reader is the athlete whose valid token a call carries.
type reader struct {
	*account
	now time.Time
}

// sees reports whether the token shows the activity now.
func (r reader) sees(a activity) bool { return r.grant.sees(a) && a.ready <= r.now.Unix() }

func (s *Server) routeAPI() {
	identify := func(c *call) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.athlete = s.tokens[s.accessToken(c)].athlete
	}
	api := func(name, pattern string, serve func(*call, reader) response) {
		s.route(endpoint{name, identify, s.meterAPI, s.authenticated(serve)}, pattern)
	}
	api(EndpointAthlete, "GET /api/v3/athlete", s.getAthlete)
	api(EndpointActivities, "GET /api/v3/athlete/activities", s.listActivities)
	api(EndpointActivity, "GET /api/v3/activities/{id}", s.getActivity)
	api(EndpointStats, "GET /api/v3/athletes/{id}/stats", s.getStats)
	api(EndpointOther, "/api/v3/", func(*call, reader) response {
		return refuse(http.StatusNotFound, "Record Not Found", fieldError{"resource", "path", "invalid"})
	})
}

// accessToken returns the token of a call to the API. It is in the header, which
// is the only place for it from 2027-06-01, or, when Lenient, in the query. The
// caller holds the lock.
func (s *Server) accessToken(c *call) string {
	if token := standin.BearerToken(c.Request); token != "" || !s.settings.Lenient {
		return token
	}
	return c.URL.Query().Get("access_token")
}

// authenticated wraps the endpoints of the API. It makes the checks that can
// refuse a call, in Strava's order, and then calls serve, all under the lock.
func (s *Server) authenticated(serve func(*call, reader) response) func(*call) response {
	return func(c *call) response {
		s.mu.Lock()
		defer s.mu.Unlock()
		token, now := s.accessToken(c), s.clock.Now()
		issued, known := s.tokens[token]
		switch fault := faultKinds[c.fault.Kind].response; {
		case !known:
			return invalidToken()
		case s.settings.Inactive:
			return inactiveApplication()
		case c.exceeded != "":
			return rateLimited(c.exceeded)
		case fault.Status != 0:
			return fault
		}
		a := s.population.accounts[issued.athlete]
		if !a.grant.valid(token, now) {
			return invalidToken()
		}
		res := serve(c, reader{a, now})
		if res.Status == http.StatusOK {
			res = res.With(http.Header{"Etag": {etag(res.Body)}})
		}
		return res
	}
}

func etag(body []byte) string {
	h := fnv.New128a()
	_, _ = h.Write(body) // never fails
	return fmt.Sprintf(`W/"%x"`, h.Sum(nil))
}

func (s *Server) getAthlete(_ *call, r reader) response {
	if r.grant.scopes.Has("profile:read_all") {
		return jsonResponse(http.StatusOK, r.detailed())
	}
	return jsonResponse(http.StatusOK, r.summary())
}

// getActivity returns one activity. It returns 404 with an empty body if the
// activity does not exist, is not processed yet, is private without
// activity:read_all, or is another athlete's (but see Settings.Lenient).
func (s *Server) getActivity(c *call, r reader) response {
	if !readsActivities(r.grant.scopes) {
		return missingScope("activity:read_permission")
	}
	id, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil {
		return badRequest("Activity", "id", "invalid")
	}
	owner := r.account
	a, err := s.population.activity(owner, id)
	if err != nil && s.settings.Lenient {
		owner, a, err = s.population.publicActivity(id)
	}
	body := a.raw // another athlete's token gets the summary
	switch {
	case err != nil || !r.sees(a):
		return response{Status: http.StatusNotFound}
	case owner.corrupt[id]:
		return corruptActivity()
	case owner == r.account:
		body = detailed(a)
	}
	return bodyResponse(http.StatusOK, body)
}

// detailed returns the DetailedActivity: the summary with the detail's own
// fields.
func detailed(a activity) []byte {
	var summary struct {
		Map struct {
			ID              string `json:"id"`
			SummaryPolyline string `json:"summary_polyline"`
		} `json:"map"`
		Kilojoules float64 `json:"kilojoules"`
	}
	if err := json.Unmarshal(a.raw, &summary); err != nil {
		panic(err) // it was decoded when it was added
	}
	polyline, id := quote(summary.Map.SummaryPolyline), quote(summary.Map.ID)
	changes := []member{
		{"resource_state", []byte("3")},
		{"map", fmt.Appendf(nil, `{"id":%s,"polyline":%s,"resource_state":3,"summary_polyline":%s}`, id, polyline, polyline)},
		{"description", []byte("null")},
		{"calories", appendDecimal(nil, summary.Kilojoules)},
		{"perceived_exertion", []byte("null")},
		{"prefer_perceived_exertion", []byte("null")},
		{"segment_efforts", []byte("[]")},
		{"laps", []byte("[]")},
		{"photos", []byte(`{"primary":null,"count":0}`)},
		{"stats_visibility", []byte("[]")},
		{"embed_token", quote(fmt.Sprintf("%040x", a.id))},
		{"available_zones", []byte("[]")},
	}
	return setMembers(a.raw, changes...)
}
