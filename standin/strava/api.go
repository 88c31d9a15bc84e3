package strava

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Page sizes (Strava, API Reference).
const (
	defaultPerPage = 30
	maxPerPage     = 200
)

// reader is an athlete whose live token a call carries.
type reader struct {
	*account
	now time.Time
}

func (s *Server) routeAPI() {
	identify := func(c *call) {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.athlete = s.tokens[s.accessToken(c)].athlete
	}
	api := func(name, pattern string, serve func(*call, reader) answer) {
		s.route(endpoint{name, identify, s.meterAPI, s.authenticated(serve)}, pattern)
	}
	api(EndpointAthlete, "GET /api/v3/athlete", s.getAthlete)
	api(EndpointActivities, "GET /api/v3/athlete/activities", s.listActivities)
	api(EndpointActivity, "GET /api/v3/activities/{id}", s.getActivity)
	api(EndpointStats, "GET /api/v3/athletes/{id}/stats", s.getStats)
	api(EndpointOther, "/api/v3/", func(*call, reader) answer {
		return refuse(http.StatusNotFound, "Record Not Found", faultError{"resource", "path", "invalid"})
	})
}

// accessToken is the token of a call to the API: in the header, which is the
// only place for it from 2027-06-01, or, when Lenient, in the query. The caller
// holds the lock.
func (s *Server) accessToken(c *call) string {
	if token := bearer(c.Request); token != "" || !s.settings.Lenient {
		return token
	}
	return c.URL.Query().Get("access_token")
}

// authenticated wraps the endpoints of the API: it makes the checks that may
// refuse a call, in Strava's order, and then calls serve, all under the lock.
func (s *Server) authenticated(serve func(*call, reader) answer) func(*call) answer {
	return func(c *call) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		token, now := s.accessToken(c), s.clock.Now()
		issued, known := s.tokens[token]
		switch fault := faultKinds[c.fault.Kind].answer; {
		case !known:
			return deadToken()
		case s.settings.Inactive:
			return appInactive()
		case c.exceeded != "":
			return rateLimited(c.exceeded)
		case fault.status != 0:
			return fault
		}
		a := s.population.accounts[issued.athlete]
		if !a.grant.live(token, now) {
			return deadToken()
		}
		response := serve(c, reader{a, now})
		if response.status == http.StatusOK {
			response = response.with(http.Header{"Etag": {etag(response.body)}})
		}
		return response
	}
}

func etag(body []byte) string {
	h := fnv.New128a()
	_, _ = h.Write(body) // never fails
	return fmt.Sprintf(`W/"%x"`, h.Sum(nil))
}

func missingScope(field string) answer { return unauthorized("AccessToken", field, "missing") }

func (s *Server) getAthlete(_ *call, r reader) answer {
	if r.grant.scope.has("profile:read_all") {
		return jsonAnswer(http.StatusOK, r.detailed())
	}
	return jsonAnswer(http.StatusOK, r.summary())
}

// listActivities answers in the order seen at Strava: newest first, but oldest
// first with after alone. A page holds per_page activities less the ones that
// the application may not see, so it may be short; only past the end is it empty.
func (s *Server) listActivities(c *call, r reader) answer {
	if !r.grant.scope.readsActivities() {
		return missingScope("activity:read_permission")
	}
	q := c.URL.Query()
	values := map[string]int64{"page": 1, "per_page": defaultPerPage, "before": 0, "after": 0}
	for name := range values {
		if !q.Has(name) {
			continue
		}
		v, err := strconv.ParseInt(q.Get(name), 10, 64)
		if err != nil || (v < 1 && (name == "page" || name == "per_page")) || (v > maxPerPage && name == "per_page") {
			return badRequest("Application", name, "invalid")
		}
		values[name] = v
	}
	list := []activity{}
	for _, a := range s.population.activities(r.account) {
		if (!q.Has("before") || a.start < values["before"]) && (!q.Has("after") || a.start > values["after"]) {
			list = append(list, a)
		}
	}
	if q.Has("after") && !q.Has("before") {
		slices.Reverse(list)
	}
	page, perPage := values["page"], int(values["per_page"])
	if c.fault.Kind == FaultRepeatedPage {
		page = max(page-1, 1)
	}
	shown := r.page(list, page, perPage)
	if c.fault.Kind == FaultLongPage {
		shown = r.longPage(list, page, perPage)
	}
	body := []byte{'['}
	for i, a := range shown {
		if r.corrupt[a.id] {
			return corruptActivity()
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, a.raw...)
	}
	return bodyAnswer(http.StatusOK, append(body, ']'))
}

// page returns a page of list: per_page activities less those that the
// application does not see. One without any gives way to the next.
func (r reader) page(list []activity, page int64, perPage int) []activity {
	for chunk := range slices.Chunk(list, perPage) {
		chunk = slices.DeleteFunc(slices.Clone(chunk), func(a activity) bool { return !r.sees(a) })
		if len(chunk) > 0 {
			page--
		}
		if len(chunk) > 0 && page == 0 {
			return chunk
		}
	}
	return nil
}

// longPage returns a page and what follows it, one more than perPage in all;
// the first page follows the last. It is empty only if every page is.
func (r reader) longPage(list []activity, page int64, perPage int) []activity {
	var shown []activity
	for len(shown) <= perPage {
		next := r.page(list, page, perPage)
		switch {
		case len(next) > 0:
			page++
		case page == 1:
			return nil
		default:
			page = 1
		}
		shown = append(shown, next...)
	}
	return shown[:perPage+1]
}

// sees tells whether the activity is there for this token now.
func (r reader) sees(a activity) bool { return r.grant.sees(a) && a.ready <= r.now.Unix() }

// getActivity answers 404 with an empty body for what is gone, not processed
// yet, private without activity:read_all, or another athlete's (but see
// Settings.Lenient).
func (s *Server) getActivity(c *call, r reader) answer {
	if !r.grant.scope.readsActivities() {
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
	body := a.raw // all that another athlete's token gets
	switch {
	case err != nil || !r.sees(a):
		return answer{status: http.StatusNotFound}
	case owner.corrupt[id]:
		return corruptActivity()
	case owner == r.account:
		body = detailed(a)
	}
	return bodyAnswer(http.StatusOK, body)
}

// detailed makes the DetailedActivity: the summary with what only the detail has.
func detailed(a activity) []byte {
	var summary struct {
		Map struct {
			ID              string `json:"id"`
			SummaryPolyline string `json:"summary_polyline"`
		} `json:"map"`
		Kilojoules float64 `json:"kilojoules"`
	}
	if err := json.Unmarshal(a.raw, &summary); err != nil {
		panic(err) // it was decoded when it came in
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

// totals is Strava's ActivityTotal. Times come with a decimal point, although
// the specification says integer.
type totals struct {
	Count            int     `json:"count"`
	Distance         decimal `json:"distance"`
	MovingTime       decimal `json:"moving_time"`
	ElapsedTime      decimal `json:"elapsed_time"`
	ElevationGain    decimal `json:"elevation_gain"`
	AchievementCount *int    `json:"achievement_count,omitempty"` // of recent ones only
}

// getStats answers ActivityStats, which counts activities visible to everyone
// only, whatever the scope (Strava, API Reference).
func (s *Server) getStats(c *call, r reader) answer {
	if c.PathValue("id") != strconv.FormatInt(r.ID, 10) {
		return refuse(http.StatusForbidden, "Forbidden", faultError{"Athlete", "id", "invalid"})
	}
	type period struct {
		name  string
		since int64
	}
	periods := []period{
		{"recent", r.now.AddDate(0, 0, -28).Unix()},
		{"ytd", time.Date(r.now.UTC().Year(), 1, 1, 0, 0, 0, 0, time.UTC).Unix()},
		{"all", 0},
	}
	stats := map[string]any{}
	for _, p := range periods {
		for _, sport := range []string{"ride", "run", "swim"} {
			t := &totals{}
			if p.name == "recent" {
				t.AchievementCount = new(int)
			}
			stats[p.name+"_"+sport+"_totals"] = t
		}
	}
	var longest, highest *decimal
	for _, a := range s.population.activities(r.account) {
		if a.visibility != Everyone || a.ready > r.now.Unix() {
			continue
		}
		var f struct {
			Type             string  `json:"type"`
			Distance         float64 `json:"distance"`
			MovingTime       float64 `json:"moving_time"`
			ElapsedTime      float64 `json:"elapsed_time"`
			Gain             float64 `json:"total_elevation_gain"`
			AchievementCount float64 `json:"achievement_count"`
		}
		if json.Unmarshal(a.raw, &f) != nil {
			continue // SetFields may have put text in place of a number
		}
		sport := map[string]string{"Ride": "ride", "Run": "run", "Swim": "swim"}[f.Type]
		if sport == "" {
			continue
		}
		if sport == "ride" {
			longest = larger(longest, f.Distance)
			highest = larger(highest, f.Gain)
		}
		for _, p := range periods {
			if a.start < p.since {
				continue
			}
			t := stats[p.name+"_"+sport+"_totals"].(*totals)
			t.Count++
			t.Distance += decimal(f.Distance)
			t.MovingTime += decimal(f.MovingTime)
			t.ElapsedTime += decimal(f.ElapsedTime)
			t.ElevationGain += decimal(f.Gain)
			if t.AchievementCount != nil {
				*t.AchievementCount += int(f.AchievementCount)
			}
		}
	}
	stats["biggest_ride_distance"], stats["biggest_climb_elevation_gain"] = longest, highest
	return jsonAnswer(http.StatusOK, stats)
}

func larger(than *decimal, v float64) *decimal {
	if d := decimal(v); than == nil || d > *than {
		return &d
	}
	return than
}
