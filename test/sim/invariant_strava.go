package sim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// observations are what was seen at Strava.
type observations struct {
	// call is the one that Strava answers now.
	call *observedCall
	// athletes are those with an account.
	athletes map[int64]bool
	// activities has what Strava showed, by activity.
	activities map[int64]*shown
	// profiles has the latest profile that Strava showed, by athlete.
	profiles map[int64]json.RawMessage
	// lies has when Strava gave answers after which an activity may look gone, by
	// athlete.
	lies map[int64][]time.Time
	// exchanged has when Strava last exchanged a code, by athlete. crossed says that
	// it exchanged another one in the same second.
	exchanged map[int64]time.Time
	// unrevoked are athletes for whom Strava answered 200 to a revocation that it did
	// not carry out, with a body from which a client cannot tell (RFC 7009, 2.2).
	unrevoked map[int64]bool
	crossed   map[int64]bool
	quota     quotaSeen
	tokens    tokensSeen
}

// shown is what Strava showed of an activity: whose it is, and when.
type shown struct {
	owner int64
	at    []time.Time
}

// observedCall is one call, while Strava answers it.
type observedCall struct {
	endpoint string
	athlete  int64
	fault    strava.FaultKind
	// ofClaim says that credentials makes the call, to check a claim.
	ofClaim bool
}

// callerKey is the key of the name of the function that makes a request, in its
// context.
type callerKey struct{}

// requester is the function that makes calls for gathering.
const requester = "credentials/forward-request"

func newObservations(s *strava.Server) observations {
	athletes := map[int64]bool{}
	for _, a := range s.Athletes() {
		athletes[a.ID] = true
	}
	return observations{
		athletes:   athletes,
		activities: map[int64]*shown{}, profiles: map[int64]json.RawMessage{}, lies: map[int64][]time.Time{}, exchanged: map[int64]time.Time{}, unrevoked: map[int64]bool{}, crossed: map[int64]bool{},
		quota:  quotaSeen{usage: s.Usage(), settings: s.Settings(), refused: map[int64]int{}},
		tokens: tokensSeen{issued: map[string]*refreshToken{}, current: map[int64]string{}, inFlight: map[int64]time.Time{}},
	}
}

// faultOf wraps Strava's faults, to learn whose call it is and how it fails.
func (v *invariants) faultOf(next func(strava.Request) *strava.Fault) func(strava.Request) *strava.Fault {
	return func(r strava.Request) *strava.Fault {
		f := next(r)
		if c := v.observed.call; c != nil {
			c.endpoint, c.athlete = r.Endpoint, r.Athlete
			if f != nil {
				c.fault = f.Kind
			}
		}
		return f
	}
}

// observe returns Strava's handler with every call observed.
func (v *invariants) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := &v.observed
		call := &observedCall{ofClaim: r.Context().Value(callerKey{}) != requester}
		o.call = call
		defer func() { o.call = nil }()
		v.observeUsage()
		presented := presentedToken(r)
		copied := &answerCopy{ResponseWriter: w, status: http.StatusOK}
		complete := false
		defer func() {
			if !complete {
				copied.status, copied.body = 0, bytes.Buffer{} // The client gets no answer.
			}
			v.observeAnswer(call, presented, copied.status, copied.body.Bytes())
		}()
		next.ServeHTTP(copied, r)
		complete = true
	})
}

// presentedToken returns the refresh token in a request, which it leaves
// readable.
func presentedToken(r *http.Request) string {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/oauth/token") || r.Body == nil {
		return ""
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, invalid := url.ParseQuery(string(body))
	if err != nil || invalid != nil {
		return ""
	}
	return form.Get("refresh_token")
}

// answerCopy keeps a copy of an answer.
type answerCopy struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *answerCopy) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *answerCopy) Write(b []byte) (int, error) {
	c.body.Write(b)
	return c.ResponseWriter.Write(b)
}

// observeAnswer takes in an answer of Strava's; status 0 stands for none.
func (v *invariants) observeAnswer(c *observedCall, presented string, status int, body []byte) {
	o := &v.observed
	v.observeMetered(c, status)
	if status >= http.StatusInternalServerError {
		v.failed() // Such as for an activity that Strava cannot read.
	}
	switch c.endpoint {
	case strava.EndpointExchange, strava.EndpointRefresh, strava.EndpointRevoke, strava.EndpointDeauthorize, strava.EndpointAuthorize:
		v.secrets.stale = true
		told := c.fault == strava.Fault200HTML || c.fault == strava.Fault200Message
		if c.endpoint == strava.EndpointRevoke && status == http.StatusOK && c.fault != "" && !told {
			o.unrevoked[c.athlete] = true
		}
		v.observeTokens(c, presented, status, body)
	case strava.EndpointActivities, strava.EndpointActivity:
		if misleading[c.fault] {
			o.lies[c.athlete] = append(o.lies[c.athlete], time.Now())
		}
		// A single activity may be another athlete's that everyone may see.
		own := []byte(`"athlete":{"id":` + strconv.FormatInt(c.athlete, 10) + ",")
		if status == http.StatusOK && (c.endpoint == strava.EndpointActivities || bytes.Contains(body, own)) {
			o.show(c.athlete, body)
		}
	case strava.EndpointAthlete:
		if status == http.StatusOK && c.fault == "" {
			o.profiles[c.athlete] = bytes.Clone(body)
		}
	}
}

// misleading are the faults after which an activity may look gone.
var misleading = map[strava.FaultKind]bool{
	strava.Fault404: true, strava.Fault401: true, strava.Fault403: true, strava.Fault403Other: true,
	strava.Fault200EmptyList: true, strava.FaultRepeatedPage: true, strava.FaultLongPage: true,
}

// show notes the activities in an answer. It looks for ids without decoding the
// rest, which would take most of a run's time.
func (o *observations) show(athlete int64, body []byte) {
	now := time.Now()
	for {
		i := bytes.Index(body, []byte(`"id":`))
		if i < 0 {
			return
		}
		body = body[i+len(`"id":`):]
		id := leadingInt(body)
		if id < firstActivityID {
			continue
		}
		s := o.activities[id]
		if s == nil {
			s = &shown{owner: athlete}
			o.activities[id] = s
		}
		if n := len(s.at); n == 0 || !s.at[n-1].Equal(now) {
			for len(s.at) > 0 && now.Sub(s.at[0]) > readable+time.Hour {
				s.at = s.at[1:]
			}
			s.at = append(s.at, now)
		}
	}
}

// firstActivityID is that of standin/strava's new activities. No athlete has
// such an id.
const firstActivityID = 40_000_000_000

// leadingInt returns the number at the beginning of b; 0 if there is none.
func leadingInt(b []byte) int64 {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	id, _ := strconv.ParseInt(string(b[:n]), 10, 64)
	return id
}

// wasShown reports whether Strava showed the activity to the athlete in a
// reading that says it began at a time.
func (o *observations) wasShown(athlete, activity int64, readAt time.Time) bool {
	s := o.activities[activity]
	if s == nil || s.owner != athlete {
		return false
	}
	for i := len(s.at) - 1; i >= 0; i-- {
		if d := s.at[i].Sub(readAt); d >= -skewBound && d <= readingBound {
			return true
		}
	}
	return false
}

// shownTo returns how many activities of the athlete Strava showed within the
// time for which they may be stored.
func (o *observations) shownTo(athlete int64) (n int) {
	for _, s := range o.activities {
		if last := len(s.at) - 1; s.owner == athlete && time.Since(s.at[last]) < storedFor {
			n++
		}
	}
	return n
}
