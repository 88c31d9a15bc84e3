package sim

import (
	"bytes"
	"strings"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

// secretIndex finds secrets in text, by their last characters: whatever stands
// before a secret, the end of a run of characters is its end.
type secretIndex struct {
	// kinds has the kind of each known secret by its tail.
	kinds map[string]string
	// stale says that Strava may have issued secrets since they were read.
	stale bool
	// basic is how the Authorization header with the client's id begins.
	basic string
}

// secretTail is how many characters of a secret identify it: those of the
// shortest, Fitbit's client secret.
const secretTail = 32

func newSecretIndex() secretIndex { return secretIndex{kinds: map[string]string{}, stale: true} }

func (s *secretIndex) add(secret, kind string) {
	if len(secret) >= secretTail {
		s.kinds[secret[len(secret)-secretTail:]] = kind
	}
}

func (s *secretIndex) addAll(all standin.Secrets) {
	s.add(all.ClientSecret, "client secret")
	for kind, list := range map[string][]string{"access token": all.AccessTokens, "refresh token": all.RefreshTokens, "code": all.Codes} {
		for _, secret := range list {
			s.add(secret, kind)
		}
	}
}

// refreshSecrets reads the providers' secrets again.
func (v *invariants) refreshSecrets() {
	s := &v.secrets
	all := v.strava.Secrets()
	s.basic = all.BasicAuth[:8] // The client's id, which has 6 digits.
	for _, secret := range all.VerifyTokens {
		s.add(secret, "verify token")
	}
	s.addAll(all.Secrets)
	if v.fitbit != nil {
		s.addAll(v.fitbit.Secrets())
	}
	if sub := v.strava.Subscription(); sub != nil {
		s.add(sub.CallbackURL[strings.LastIndex(sub.CallbackURL, "/")+1:], "callback key")
	}
	s.stale = false
}

// inspect searches text that leaves a function, other than into the vault, for
// what may not be there. where says what the text is.
func (v *invariants) inspect(where string, data []byte) {
	v.searchPositions(where, data)
	for all := v.issued(); v.known < len(all); v.known++ {
		v.secrets.add(all[v.known].secret, "session or key")
	}
	run := 0
	for i := 0; i <= len(data); i++ {
		if i < len(data) && secretCharacter[data[i]] {
			run++
			continue
		}
		if run >= secretTail {
			v.inspectRun(where, data[i-secretTail:i])
		}
		run = 0
	}
	if v.secrets.basic != "" {
		if i := bytes.Index(data, []byte(v.secrets.basic)); i >= 0 {
			v.violation(noLeaks, "%s has the client's basic authentication at byte %d", where, i)
		}
	}
}

// secretCharacter has the characters of secrets: hexadecimal digits, base32 and
// base64url.
var secretCharacter = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") {
		is[c] = true
	}
	return is
}()

func (v *invariants) inspectRun(where string, tail []byte) {
	kind, known := v.secrets.kinds[string(tail)]
	if !known && v.secrets.stale {
		v.refreshSecrets()
		kind, known = v.secrets.kinds[string(tail)]
	}
	if !known {
		return
	}
	v.violation(noLeaks, "%s has a %s", where, kind)
}

// Positions of generated activities, see the documentation of standin/strava.
var (
	polyline   = []byte(strava.SyntheticPolyline)
	latitudes  = []byte("-0.7")
	longitudes = []byte("-30.5")
	// positionKeys are the names of the members with positions.
	positionKeys = [][]byte{[]byte("latlng"), []byte("polyline")}
)

func (v *invariants) searchPositions(where string, data []byte) {
	if bytes.Contains(data, polyline) {
		v.violation(noLeaks, "%s has a polyline", where)
	}
	for _, key := range positionKeys {
		if bytes.Contains(data, key) {
			v.violation(noLeaks, "%s has a member %s", where, key)
		}
	}
	for _, coordinate := range [][]byte{latitudes, longitudes} {
		for rest := data; ; {
			i := bytes.Index(rest, coordinate)
			if i < 0 {
				break
			}
			rest = rest[i+len(coordinate):]
			if len(rest) >= 3 && digits(rest[:3]) {
				v.violation(noLeaks, "%s has a coordinate", where)
			}
		}
	}
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
