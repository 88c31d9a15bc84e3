package fitbit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/standin"
)

func (s *Server) routeAPI() {
	identify := func(c *call) {
		if t := s.tokens[standin.BearerToken(c.Request)]; t != nil {
			c.user = t.user
		}
	}
	api := func(name, pattern, scope string, serve func(*call, *account) response) {
		s.route(endpoint{name, identify, s.authenticated(scope, serve)}, pattern)
	}
	api(EndpointProfile, "GET /1/user/-/profile.json", "profile", s.getProfile)
	api(EndpointActivities, "GET /1/user/-/activities/date/{day}", "activity", s.getDay)
	api(EndpointOther, "/1/", "", func(*call, *account) response {
		return refuse(http.StatusNotFound, apiError{"not_found", "n/a", "The API you are requesting could not be found."})
	})
}

// authenticated wraps the endpoints of the API, which need a valid access token
// and a scope. A call without the scope counts against the rate limit; Fitbit
// does not document whether it does.
func (s *Server) authenticated(scope string, serve func(*call, *account) response) func(*call) response {
	return func(c *call) response {
		presented := standin.BearerToken(c.Request)
		t := s.tokens[presented]
		switch {
		case t == nil || t.refresh || !s.granted(t):
			return refuseOAuth(http.StatusUnauthorized, "invalid_token", "Access token invalid: %s", presented)
		case !s.valid(t):
			return refuseOAuth(http.StatusUnauthorized, "expired_token", "Access token expired: %s", presented)
		}
		t.used = true
		a := s.account(t.user)
		rate, exceeded := s.charge(a)
		var res response
		switch {
		case exceeded:
			// As reported in Fitbit's forum, "Too many request".
			res = refuse(http.StatusTooManyRequests, apiError{"system", "n/a", "Too Many Requests"})
			rate.Set("Retry-After", rate.Get("Fitbit-Rate-Limit-Reset"))
		case scope != "" && !t.scopes.Has(scope):
			res = refuseOAuth(http.StatusForbidden, "insufficient_scope", "This application does not have permission to access %s data", scope)
		default:
			res = serve(c, a)
		}
		res.Header = rate
		return res
	}
}

// charge counts a call for a user and returns the rate headers of its response.
// The count starts again at the top of the hour (Fitbit Web API, Rate Limits).
func (s *Server) charge(a *account) (rate http.Header, exceeded bool) {
	const hour = int64(time.Hour / time.Second)
	now := s.now().Unix()
	if now/hour != a.hour {
		a.hour, a.calls = now/hour, 0
	}
	a.calls++
	rate = http.Header{}
	rate.Set("Fitbit-Rate-Limit-Limit", strconv.Itoa(s.hourlyLimit))
	rate.Set("Fitbit-Rate-Limit-Remaining", strconv.Itoa(max(s.hourlyLimit-a.calls, 0)))
	rate.Set("Fitbit-Rate-Limit-Reset", strconv.FormatInt(hour-now%hour, 10))
	return rate, a.calls > s.hourlyLimit
}

// getProfile returns some of the members of the page Get Profile.
func (s *Server) getProfile(_ *call, a *account) response {
	offset := 0 // seconds
	if place, err := time.LoadLocation(a.Timezone); err == nil {
		_, offset = s.now().In(place).Zone()
	}
	return jsonResponse(http.StatusOK, map[string]any{"user": map[string]any{
		"encodedId": a.ID, "displayName": a.DisplayName, "fullName": a.FullName,
		"timezone": a.Timezone, "memberSince": a.MemberSince, "distanceUnit": "METRIC", "locale": "en_GB",
		"offsetFromUTCMillis": offset * 1000,
	}})
}

func (s *Server) getDay(c *call, a *account) response {
	text, isJSON := strings.CutSuffix(c.PathValue("day"), ".json")
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || !isJSON {
		return refuse(http.StatusBadRequest, apiError{"validation", "date", "Invalid date: " + text})
	}
	return jsonResponse(http.StatusOK, s.day(a, day))
}
