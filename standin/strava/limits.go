package strava

import (
	"net/http"
	"strings"
	"time"
)

// Usage is the usage of the application's limits in the current windows.
type Usage struct {
	Read    Limit `json:"read"`
	Overall Limit `json:"overall"`
}

// meter counts requests in Strava's windows: quarter hours that begin at :00,
// :15, :30 and :45, and days that begin at midnight UTC (Strava, Rate Limits).
type meter struct {
	quarter, day int64 // the windows of the usage, counted since 1970
	usage        Usage
}

func (m *meter) roll(now time.Time) {
	quarter, day := now.Unix()/(15*60), now.Unix()/(24*60*60)
	if quarter != m.quarter {
		m.usage.Read[0], m.usage.Overall[0] = 0, 0
	}
	if day != m.day {
		m.usage.Read[1], m.usage.Overall[1] = 0, 0
	}
	m.quarter, m.day = quarter, day
}

// charge counts one request, even if it will be refused: "requests violating the
// short limit still count toward the long-term limit" (Strava, Rate Limits).
func (m *meter) charge(now time.Time, upload bool) {
	m.roll(now)
	for window := range m.usage.Overall {
		m.usage.Overall[window]++
		if !upload {
			m.usage.Read[window]++
		}
	}
}

// exceeded returns the name of the limit that refuses the request just charged,
// or "".
func (m *meter) exceeded(s Settings, upload bool) string {
	for window, used := range m.usage.Overall {
		if used > s.OverallLimit[window] {
			return "overall rate limit"
		}
	}
	for window, used := range m.usage.Read {
		if !upload && used > s.ReadLimit[window] {
			// An assumption: no recording has the text for the read limit.
			return "read rate limit"
		}
	}
	return ""
}

// rateHeaders returns the four headers. Go's canonical form is also Strava's
// spelling (X-Ratelimit-Limit, X-Readratelimit-Usage).
func rateHeaders(s Settings, u Usage) http.Header {
	h := http.Header{}
	h.Set("X-RateLimit-Limit", s.OverallLimit.String())
	h.Set("X-RateLimit-Usage", u.Overall.String())
	h.Set("X-ReadRateLimit-Limit", s.ReadLimit.String())
	h.Set("X-ReadRateLimit-Usage", u.Read.String())
	return h
}

// meterAPI counts a call to the API. A token that was never issued belongs to no
// application, so a call with one does not count and gets no rate headers.
func (s *Server) meterAPI(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.tokens[s.accessToken(c)]; !known {
		return
	}
	upload := isUpload(c.Request)
	s.meter.charge(s.clock.Now(), upload)
	c.rate = rateHeaders(s.settings, s.meter.usage)
	c.exceeded = s.meter.exceeded(s.settings, upload)
}

// meterPush adds the rate headers that responses of push_subscriptions were seen
// to have. These calls do not count, and their usage is always 0,0: it is not the
// application's.
func (s *Server) meterPush(c *call) { c.rate = rateHeaders(s.Settings(), Usage{}) }

// isUpload reports whether a request does not count as a read: POST activities,
// POST uploads and media uploads (Strava, Rate Limits).
func isUpload(r *http.Request) bool {
	path := strings.TrimPrefix(r.URL.Path, "/api/v3")
	return r.Method == http.MethodPost &&
		(path == "/activities" || path == "/uploads" || strings.HasSuffix(path, "/upload_media"))
}

// Usage returns the usage in the current windows.
func (s *Server) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter.roll(s.clock.Now())
	return s.meter.usage
}

// SetUsage sets the usage in the current windows, as other processes of the same
// application would by their calls.
func (s *Server) SetUsage(u Usage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter.roll(s.clock.Now())
	s.meter.usage = u
}
