package sim

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// quotaSeen is what was seen of Strava's rate limits.
type quotaSeen struct {
	usage    strava.Usage
	settings strava.Settings
	// at is when usage was seen.
	at time.Time
	// disturbedAt is when another client last used the limits, or they changed.
	disturbedAt time.Time
	// refused counts our refused calls by quarter hour.
	refused map[int64]int
}

// observeUsage notices, before a call, that something else has changed the usage
// or the limits since the last one.
func (v *invariants) observeUsage() {
	q, now := &v.observed.quota, time.Now()
	expected := q.usage
	if now.Unix()/900 != q.at.Unix()/900 {
		expected.Read[0], expected.Overall[0] = 0, 0
	}
	if now.Unix()/86400 != q.at.Unix()/86400 {
		expected.Read[1], expected.Overall[1] = 0, 0
	}
	usage, settings := v.strava.Usage(), v.strava.Settings()
	if usage != expected || settings.ReadLimit != q.settings.ReadLimit || settings.OverallLimit != q.settings.OverallLimit {
		q.disturbedAt = now
	}
	q.settings = settings
	if settings.Inactive || settings.Delivery != strava.DeliverNow {
		v.failed()
	}
}

// observeMetered takes in how Strava counted a call.
func (v *invariants) observeMetered(c *observedCall, status int) {
	q, now := &v.observed.quota, time.Now()
	q.usage, q.at = v.strava.Usage(), now
	over := q.usage.Read[0] > q.settings.ReadLimit[0] || q.usage.Read[1] > q.settings.ReadLimit[1] ||
		q.usage.Overall[0] > q.settings.OverallLimit[0] || q.usage.Overall[1] > q.settings.OverallLimit[1]
	// The check of a claim needs no permit, see quota.Budget.Settle.
	if status != http.StatusTooManyRequests || c.fault != "" || !over || c.ofClaim {
		return
	}
	quarter := now.Unix() / 900
	q.refused[quarter]++
	disturbed := !q.disturbedAt.IsZero() && now.Sub(q.disturbedAt) < 24*time.Hour
	failing := v.failedSince(now.Add(-30 * time.Minute))
	switch n := q.refused[quarter]; {
	case !disturbed && !failing:
		v.violation(noOwn429, "a call for athlete %d got a 429: %v of %v", c.athlete, q.usage, q.settings.ReadLimit)
	case n > 1 && !failing:
		// docs/scale.md: one call in a quarter hour meets what others have used up.
		v.violation(noOwn429, "%d calls got a 429 in one quarter hour", n)
	}
}

// tokensSeen is what was seen of refresh tokens.
type tokensSeen struct {
	issued map[string]*refreshToken
	// current is the newest one of each athlete; empty if no answer showed it.
	current map[int64]string
	// inFlight has when the latest refresh began that has not ended.
	inFlight map[int64]time.Time
}

// refreshToken is one that Strava issued.
type refreshToken struct {
	athlete  int64
	issuedAt time.Time
	// refusedAt is when Strava last refused it, though the athlete is connected.
	refusedAt time.Time
}

// observeTokens takes in an answer of the token endpoint.
func (v *invariants) observeTokens(c *observedCall, presented string, status int, body []byte) {
	t, now := &v.observed.tokens, time.Now()
	refreshes := c.endpoint == strava.EndpointRefresh
	if !refreshes && c.endpoint != strava.EndpointExchange || c.athlete == 0 {
		return
	}
	if !refreshes && (status == http.StatusOK || status == 0) {
		v.observed.crossed[c.athlete] = v.observed.exchanged[c.athlete].Unix() == now.Unix()
		v.observed.exchanged[c.athlete] = now
	}
	if status != http.StatusOK {
		if refreshes && status == http.StatusBadRequest && c.fault == "" {
			v.refreshRefused(c.athlete, presented)
		}
		if status == 0 {
			t.current[c.athlete] = ""
		}
		return
	}
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.RefreshToken == "" {
		if c.fault == strava.Fault200Truncated {
			t.current[c.athlete] = "" // Strava may have replaced it.
		}
		return
	}
	if t.issued[answer.RefreshToken] == nil {
		t.issued[answer.RefreshToken] = &refreshToken{athlete: c.athlete, issuedAt: now}
	}
	t.current[c.athlete] = answer.RefreshToken
}

// refreshRefused checks a refresh token that Strava refused. After the athlete
// has withdrawn access Strava refuses every one. Otherwise a superseded one may
// be presented if the newer one was lost, or if it is not in force yet
// (docs/token-safety.md): never while the grant refers to the newer pair, and
// not again once it was refused.
func (v *invariants) refreshRefused(athlete int64, presented string) {
	t, now := &v.observed.tokens, time.Now()
	token, current := t.issued[presented], t.current[athlete]
	if token == nil || !v.connected(athlete) || presented == current {
		return
	}
	if !token.refusedAt.IsZero() && !v.failedSince(token.refusedAt.Add(-leaseBound)) {
		v.violation(liveTokens, "athlete %d: a refresh token of %s was presented again after it was refused at %s",
			athlete, clockTime(token.issuedAt), clockTime(token.refusedAt))
	}
	token.refusedAt = now
	newer := t.issued[current]
	if newer == nil || now.Sub(newer.issuedAt) <= leaseBound {
		return // Lost, or two requests have crossed.
	}
	// A grant is in doubt from when a connect meets a refresh in flight.
	g := v.grant(athlete)
	if pair, held := v.pair(g.Account, g.Tokens); held && pair.Refresh.Reveal() == current && !g.InDoubt {
		v.violation(liveTokens, "athlete %d: a refresh token of %s was presented, though the grant refers to that of %s",
			athlete, clockTime(token.issuedAt), clockTime(newer.issuedAt))
	}
}

func (v *invariants) connected(athlete int64) bool {
	for _, a := range v.athletes() {
		if a.ID == athlete {
			return a.Connected
		}
	}
	return false
}

func clockTime(t time.Time) string { return t.UTC().Format("02 15:04:05") }

// watchRefreshes returns a client's transport to Strava with every refresh
// observed, from when it is sent until the client has the answer.
func (v *invariants) watchRefreshes(next http.RoundTripper) http.RoundTripper {
	return refreshWatch{v, next}
}

type refreshWatch struct {
	v    *invariants
	next http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (w refreshWatch) RoundTrip(r *http.Request) (*http.Response, error) {
	t := &w.v.observed.tokens
	token := t.issued[presentedToken(r)]
	if token == nil {
		return w.next.RoundTrip(r)
	}
	began := time.Now()
	if other, busy := t.inFlight[token.athlete]; busy {
		w.v.violation(oneRefresh, "athlete %d: a refresh began at %s, and another one %s later", token.athlete, clockTime(other), began.Sub(other))
	}
	t.inFlight[token.athlete] = began
	defer func() {
		if t.inFlight[token.athlete].Equal(began) {
			delete(t.inFlight, token.athlete)
		}
	}()
	return w.next.RoundTrip(r)
}
