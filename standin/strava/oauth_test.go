package strava_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

const athlete = 80_000_001

// authorizeURL is a valid authorize address with the parameters changed; an
// empty value removes one.
func authorizeURL(changes ...string) string {
	q := url.Values{
		"client_id": {"4711"}, "redirect_uri": {"http://localhost:8080/oauth/callback"},
		"response_type": {"code"}, "scope": {"read,activity:read,activity:read_all"}, "state": {"xyz"},
	}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return "/oauth/authorize?" + q.Encode()
}

func TestAuthorizeRefusesBadRequests(t *testing.T) {
	w := newWorld(t, strava.Config{CallbackDomain: "paceline.example"})
	for _, tc := range []struct{ name, value, field string }{
		{"client_id", "4712", "client_id"},
		{"client_id", "", "client_id"},
		{"redirect_uri", "", "redirect_uri"},
		{"redirect_uri", "http://evil.example/oauth/callback", "redirect_uri"},
		{"redirect_uri", "javascript:alert(1)//localhost", "redirect_uri"},
		{"response_type", "token", "response_type"},
		{"response_type", "", "response_type"},
		{"scope", "", "scope"},
		{"scope", "read,activity", "scope"},
		{"approval_prompt", "maybe", "approval_prompt"},
	} {
		t.Run(tc.name+"="+tc.value, func(t *testing.T) {
			w.get("", authorizeURL(tc.name, tc.value, "as_athlete", "80000001")).
				expect(t, 400, badRequest("Application", tc.field, "invalid"))
		})
	}
	for _, uri := range []string{"http://localhost:8080/x", "http://127.0.0.1/x", "https://paceline.example/x"} {
		if r := w.get("", authorizeURL("redirect_uri", uri, "as_athlete", "80000001")); r.status != http.StatusFound {
			t.Errorf("redirect to %s: %d %s", uri, r.status, r.body)
		}
	}
}

func TestAuthorizeRedirectsForAnAthlete(t *testing.T) {
	w := newWorld(t, strava.Config{})
	for _, tc := range []struct {
		name    string
		changes []string
		scope   string
		denied  bool
	}{
		{"all scopes", nil, "read,activity:read,activity:read_all", false},
		{"spaces between scopes", []string{"scope", "read activity:read"}, "read,activity:read", false},
		{"fewer scopes", []string{"accept_scope", "read,activity:read"}, "read,activity:read", false},
		{"more than asked", []string{"scope", "read", "accept_scope", "read,activity:read"}, "read", false},
		{"no state", []string{"state", ""}, "read,activity:read,activity:read_all", false},
		{"approval prompt", []string{"approval_prompt", "force"}, "read,activity:read,activity:read_all", false},
		{"refusal", []string{"deny", "1"}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address := authorizeURL(append(tc.changes, "as_athlete", "80000001")...)
			for _, path := range []string{"/oauth/authorize", "/oauth/mobile/authorize", "/api/v3/oauth/authorize"} {
				r := w.get("", strings.Replace(address, "/oauth/authorize", path, 1))
				to := must(url.Parse(r.header.Get("Location")))
				q := to.Query()
				if r.status != http.StatusFound || to.Host != "localhost:8080" || to.Path != "/oauth/callback" {
					t.Fatalf("%d to %s", r.status, to)
				}
				if q.Has("state") != strings.Contains(address, "state=") || (q.Has("state") && q.Get("state") != "xyz") {
					t.Errorf("state %q", q["state"])
				}
				if tc.denied {
					if q.Get("error") != "access_denied" || q.Has("code") || q.Has("scope") {
						t.Errorf("refusal is %v", q)
					}
					continue
				}
				if q.Get("scope") != tc.scope || q.Get("code") == "" || q.Has("error") {
					t.Errorf("consent is %v", q)
				}
			}
		})
	}
	w.get("", authorizeURL("as_athlete", "1")).expect(t, 400, badRequest("Athlete", "as_athlete", "invalid"))
}

func TestConsentScreenOffersAthletesAndScopes(t *testing.T) {
	w := newWorld(t, strava.Config{Athletes: strava.Generate(7, 300, start)})
	r := w.get("", authorizeURL("state", `"><script>`))
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", r.status, r.header.Get("Content-Type"))
	}
	for _, want := range []string{
		`<option value="80000001">`, `<option value="80000200">`, "100 more athletes",
		`name="accept_scope" value="activity:read_all" checked`, `name="deny"`,
		`name="state" value="&#34;&gt;&lt;script&gt;"`,
	} {
		if !strings.Contains(r.body, want) {
			t.Errorf("no %s", want)
		}
	}
	// With all boxes cleared only the hidden field remains.
	r = w.get("", authorizeURL()+"&accept_scope=&as_athlete=80000001")
	if q := must(url.Parse(r.header.Get("Location"))).Query(); !q.Has("scope") || q.Get("scope") != "" {
		t.Errorf("no box checked: %v", q)
	}
	// Two checked boxes are two parameters.
	r = w.get("", authorizeURL()+"&accept_scope=&accept_scope=read&accept_scope=activity:read&as_athlete=80000001")
	if q := must(url.Parse(r.header.Get("Location"))).Query(); q.Get("scope") != "read,activity:read" {
		t.Errorf("two boxes checked: %v", q)
	}
}

func TestExchangeRespondsAsRecorded(t *testing.T) {
	w := newWorld(t, strava.Config{})
	r := w.exchange(athlete, "read", "activity:read")
	got := decoded[map[string]any](t, r.body)
	for name, want := range map[string]any{
		"token_type": "Bearer", "expires_in": 21600.0, "expires_at": float64(start.Unix() + 21600), "scope": "read,activity:read",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if a, _ := got["athlete"].(map[string]any); a["id"] != float64(athlete) || a["resource_state"] != 2.0 {
		t.Errorf("athlete is %v", got["athlete"])
	}
	for name := range r.header {
		if strings.Contains(strings.ToLower(name), "ratelimit") {
			t.Errorf("the token endpoint sent %s", name)
		}
	}
	refreshed := decoded[map[string]any](t, w.refresh(got["refresh_token"].(string)).body)
	for _, name := range []string{"athlete", "scope"} {
		if _, has := refreshed[name]; has {
			t.Errorf("a refresh returns %s", name)
		}
	}
}

func TestTokenEndpointAcceptsEveryEncoding(t *testing.T) {
	w := newWorld(t, strava.Config{})
	fields := func() url.Values {
		return credentials("grant_type", "authorization_code", "code", must(w.Authorize(athlete, "read")))
	}
	asJSON := func(f url.Values) (string, string) {
		object := map[string]any{"client_id": clientID} // a number, as some clients send it
		for name := range f {
			if name != "client_id" {
				object[name] = f.Get(name)
			}
		}
		return "application/json", string(must(json.Marshal(object)))
	}
	asForm := func(f url.Values) (string, string) { return "application/x-www-form-urlencoded", f.Encode() }
	asMultipart := func(f url.Values) (string, string) {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for name := range f {
			_ = m.WriteField(name, f.Get(name))
		}
		_ = m.Close()
		return m.FormDataContentType(), b.String()
	}
	for name, encode := range map[string]func(url.Values) (string, string){"json": asJSON, "form": asForm, "multipart": asMultipart} {
		for _, path := range []string{"/oauth/token", "/api/v3/oauth/token"} {
			contentType, body := encode(fields())
			r := w.request(http.MethodPost, path, "", strings.NewReader(body))
			r.Header.Set("Content-Type", contentType)
			if got := w.do(r); got.status != http.StatusOK {
				t.Errorf("%s at %s: %d %s", name, path, got.status, got.body)
			}
		}
	}
	// Secrets in the query are refused.
	if r := w.post("/oauth/token?"+fields().Encode(), nil); r.status != http.StatusBadRequest {
		t.Errorf("parameters in the query: %d", r.status)
	}
}

func TestTokenEndpointErrors(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	for name, tc := range map[string]struct{ form, body string }{
		"client id":      {"client_id=1&client_secret=" + secret + "&grant_type=refresh_token", badRequest("Application", "client_id", "invalid")},
		"client secret":  {"client_id=4711&client_secret=x&grant_type=refresh_token", badRequest("Application", "client_secret", "invalid")},
		"grant type":     {"client_id=4711&client_secret=" + secret + "&grant_type=password", badRequest("Application", "grant_type", "invalid")},
		"code":           {"client_id=4711&client_secret=" + secret + "&grant_type=authorization_code&code=x", badRequest("RequestToken", "code", "invalid")},
		"refresh token":  {"client_id=4711&client_secret=" + secret + "&grant_type=refresh_token&refresh_token=x", badRequest("RefreshToken", "refresh_token", "invalid")},
		"access as such": {"client_id=4711&client_secret=" + secret + "&grant_type=refresh_token&refresh_token=" + tok.Access, badRequest("RefreshToken", "refresh_token", "invalid")},
	} {
		t.Run(name, func(t *testing.T) {
			w.post("/oauth/token", must(url.ParseQuery(tc.form))).expect(t, 400, tc.body)
		})
	}
}

func TestCodeWorksOnceUntilItExpires(t *testing.T) {
	w := newWorld(t, strava.Config{})
	exchange := func(code string) reply {
		return w.post("/oauth/token", credentials("grant_type", "authorization_code", "code", code))
	}
	invalid := badRequest("RequestToken", "code", "invalid")
	code := must(w.Authorize(athlete, "read"))
	w.tokens(exchange(code))
	exchange(code).expect(t, 400, invalid)

	late := must(w.Authorize(athlete, "read"))
	w.clock.Advance(5*time.Minute - time.Second)
	inTime := must(w.Authorize(athlete, "read"))
	w.clock.Advance(time.Second)
	exchange(late).expect(t, 400, invalid)
	w.tokens(exchange(inTime))
}

func TestRefreshFollowsTheRotation(t *testing.T) {
	invalid := badRequest("RefreshToken", "refresh_token", "invalid")
	for _, tc := range []struct {
		rotation  strava.Rotation
		left      time.Duration
		newAccess bool
		rotates   bool
	}{
		{strava.RotateNever, 3601 * time.Second, false, false},
		{strava.RotateNever, 3600 * time.Second, true, false},
		{strava.RotateNever, 0, true, false},
		{strava.RotateAlways, 6 * time.Hour, false, true},
		{strava.RotateAlways, 3601 * time.Second, false, true},
		{strava.RotateAlways, 3600 * time.Second, true, true},
		{strava.RotateAlways, -time.Hour, true, true},
	} {
		t.Run(string(tc.rotation)+" "+tc.left.String(), func(t *testing.T) {
			w := newWorld(t, strava.Config{Settings: strava.Settings{Rotation: tc.rotation}})
			before := w.connect(athlete, "read")
			if err := w.SetTokenLife(athlete, tc.left); err != nil {
				t.Fatal(err)
			}
			after := w.tokens(w.refresh(before.Refresh))
			if (after.Access != before.Access) != tc.newAccess {
				t.Errorf("new access token: %v", !tc.newAccess)
			}
			wantIn := int64(tc.left.Seconds())
			if tc.newAccess {
				wantIn = 21600
			}
			if after.ExpiresIn != wantIn || after.ExpiresAt != start.Unix()+wantIn {
				t.Errorf("expires in %d at %d", after.ExpiresIn, after.ExpiresAt)
			}
			if (after.Refresh != before.Refresh) != tc.rotates {
				t.Errorf("rotated: %v", !tc.rotates)
			}
			if tc.rotates {
				w.refresh(before.Refresh).expect(t, 400, invalid)
				if n := w.Counters().DeadRefreshUses[athlete]; n != 1 {
					t.Errorf("%d refused refreshes", n)
				}
			}
			w.tokens(w.refresh(after.Refresh))
		})
	}
}

func TestRandomRotationDoesBoth(t *testing.T) {
	w := newWorld(t, strava.Config{Settings: strava.Settings{Rotation: strava.RotateRandom}})
	tok := w.connect(athlete, "read")
	rotated, kept := 0, 0
	for range 40 {
		next := w.tokens(w.refresh(tok.Refresh))
		if next.Refresh == tok.Refresh {
			kept++
		} else {
			rotated++
		}
		tok = next
	}
	if rotated < 5 || kept < 5 {
		t.Errorf("rotated %d, kept %d", rotated, kept)
	}
}

func TestOldAndNewAccessTokensAreValidUntilTheyExpire(t *testing.T) {
	w := newWorld(t, strava.Config{})
	old := w.connect(athlete, "read")
	w.clock.Advance(5*time.Hour + time.Second)
	fresh := w.tokens(w.refresh(old.Refresh))
	alive := func(token string) bool { return w.get(token, "/api/v3/athlete").status == http.StatusOK }
	if fresh.Access == old.Access || !alive(old.Access) || !alive(fresh.Access) {
		t.Fatal("both access tokens should work")
	}
	w.clock.Advance(time.Hour - 2*time.Second)
	if !alive(old.Access) {
		t.Error("the old token expired a second early")
	}
	w.clock.Advance(time.Second)
	if alive(old.Access) || !alive(fresh.Access) {
		t.Error("want the old token expired and the new one valid")
	}
}

func TestReconnectingReplacesTheScope(t *testing.T) {
	w := newWorld(t, strava.Config{})
	first := w.connect(athlete, everyScope...)
	second := w.connect(athlete, "read")
	for _, token := range []string{first.Access, second.Access} {
		w.get(token, "/api/v3/athlete/activities").
			expect(t, 401, fault("Authorization Error", "AccessToken", "activity:read_permission", "missing"))
	}
	w.refresh(first.Refresh).expect(t, 400, badRequest("RefreshToken", "refresh_token", "invalid"))
}

func TestCapacityCountsConnectedAthletes(t *testing.T) {
	w := newWorld(t, strava.Config{Settings: strava.Settings{Capacity: 1}})
	first := w.connect(athlete, "read")
	full := w.exchange(athlete+1, "read")
	if full.status != http.StatusForbidden || !strings.Contains(full.body, "Limit of connected athletes exceeded") {
		t.Errorf("over capacity: %d %s", full.status, full.body)
	}
	w.connect(athlete, "read") // a connected athlete may connect again
	if err := w.Deauthorize(athlete); err != nil {
		t.Fatal(err)
	}
	w.connect(athlete+1, "read")
	w.refresh(first.Refresh).expect(t, 400, badRequest("RefreshToken", "refresh_token", "invalid"))

	if err := w.UpdateSettings(func(s *strava.Settings) { s.CapacityAtAuthorize = true }); err != nil {
		t.Fatal(err)
	}
	page := w.get("", authorizeURL("as_athlete", "80000001"))
	if page.status != http.StatusForbidden || !strings.Contains(page.body, "Limit of connected athletes exceeded") {
		t.Errorf("over capacity at authorize: %d %s", page.status, page.body)
	}
}

func TestInactiveApplicationIsRefusedEverywhere(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, everyScope...)
	ok(t, w.SetTokenLife(athlete, time.Minute))
	if err := w.UpdateSettings(func(s *strava.Settings) { s.Inactive = true }); err != nil {
		t.Fatal(err)
	}
	inactive := fault("Forbidden", "Application", "Status", "Inactive")
	for _, r := range []reply{
		w.get(tok.Access, "/api/v3/athlete"),
		w.get(tok.Access, "/api/v3/athlete/activities"),
		w.refresh(tok.Refresh),
		w.get("", "/api/v3/push_subscriptions?"+credentials().Encode()),
		w.get("", authorizeURL("as_athlete", "80000001")),
		w.revoke(secret, tok.Refresh),
	} {
		r.expect(t, 403, inactive)
	}
	ok(t, w.UpdateSettings(func(s *strava.Settings) { s.Inactive = false }))
	w.tokens(w.refresh(tok.Refresh)) // the tokens are still valid
}

func (w *world) revoke(secret, token string) reply {
	r := w.request(http.MethodPost, "/oauth/revoke", "", strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("4711", secret)
	return w.do(r)
}

func TestRevoke(t *testing.T) {
	type pair struct{ old, now tokens }
	for _, tc := range []struct {
		name    string
		token   func(pair) string
		revokes bool
	}{
		{"access token", func(p pair) string { return p.now.Access }, true},
		{"refresh token", func(p pair) string { return p.now.Refresh }, true},
		{"expired access token", func(p pair) string { return p.old.Access }, false},
		{"superseded refresh token", func(p pair) string { return p.old.Refresh }, false},
		{"unknown token", func(pair) string { return "0123456789" }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, strava.Config{})
			w.subscribe()
			old := w.connect(athlete, "read")
			w.clock.Advance(7 * time.Hour)
			now := w.tokens(w.refresh(old.Refresh))
			w.revoke(secret, tc.token(pair{old, now})).expect(t, 200, "")
			dead := w.get(now.Access, "/api/v3/athlete").status == http.StatusUnauthorized
			if dead != tc.revokes {
				t.Errorf("access token invalid: %v", dead)
			}
			if gone := w.refresh(now.Refresh).status == http.StatusBadRequest; gone != tc.revokes {
				t.Errorf("refresh token invalid: %v", gone)
			}
			if events := w.events(); (len(events) == 1) != tc.revokes {
				t.Errorf("events %v", events)
			}
		})
	}
}

func TestRevokeNeedsTheApplication(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, "read")
	refused := fault("Authorization Error", "Application", "", "invalid")
	w.revoke("wrong", tok.Access).expect(t, 401, refused)
	w.post("/oauth/revoke", credentials("token", tok.Access)).expect(t, 401, refused)
	w.revoke(secret, "").expect(t, 400, badRequest("Application", "token", "missing"))
	if r := w.get(tok.Access, "/api/v3/athlete"); r.status != http.StatusOK {
		t.Errorf("a refused revocation took effect: %d", r.status)
	}
}

func TestTokenOfAnEarlierGrantRevokesNothing(t *testing.T) {
	w := newWorld(t, strava.Config{})
	earlier := w.connect(athlete, "read")
	w.revoke(secret, earlier.Access)
	now := w.connect(athlete, "read")
	w.revoke(secret, earlier.Access).expect(t, 200, "")
	w.revoke(secret, earlier.Refresh).expect(t, 200, "")
	if r := w.get(now.Access, "/api/v3/athlete"); r.status != http.StatusOK {
		t.Errorf("the new grant ended: %d", r.status)
	}
}

func TestDeauthorize(t *testing.T) {
	for _, silent := range []bool{false, true} {
		w := newWorld(t, strava.Config{Settings: strava.Settings{SilentRevoke: silent}})
		w.subscribe()
		tok := w.connect(athlete, "read")
		w.post("/oauth/deauthorize", url.Values{"access_token": {tok.Refresh}}).
			expect(t, 401, fault("Authorization Error", "Application", "", "invalid"))
		w.do(w.request(http.MethodPost, "/oauth/deauthorize", tok.Access, nil)).
			expect(t, 200, `{"access_token":"`+tok.Access+`"}`)
		w.get(tok.Access, "/api/v3/athlete").expect(t, 401, fault("Authorization Error", "Application", "", "invalid"))
		w.refresh(tok.Refresh).expect(t, 400, badRequest("RefreshToken", "refresh_token", "invalid"))
		if events := w.events(); (len(events) == 0) != silent {
			t.Errorf("silent %v: events %v", silent, events)
		}
		// The parameter may be in the body.
		again := w.connect(athlete, "read")
		w.post("/oauth/deauthorize", url.Values{"access_token": {again.Access}}).
			expect(t, 200, `{"access_token":"`+again.Access+`"}`)
	}
}

func TestSecretsListsEverythingEverIssued(t *testing.T) {
	w := newWorld(t, strava.Config{})
	w.subscribe()
	first := w.connect(athlete, "read")
	ok(t, w.SetTokenLife(athlete, 0))
	second := w.tokens(w.refresh(first.Refresh))
	ok(t, w.Deauthorize(athlete))
	code := must(w.Authorize(athlete, "read"))

	all := w.Secrets()
	has := func(list []string, want ...string) {
		t.Helper()
		for _, v := range want {
			if !slices.Contains(list, v) {
				t.Errorf("%s is missing", v)
			}
		}
	}
	has(all.AccessTokens, first.Access, second.Access)
	has(all.RefreshTokens, first.Refresh, second.Refresh)
	has(all.Codes, code)
	has(all.VerifyTokens, "verify")
	if len(all.Codes) != 2 || all.ClientSecret != secret || all.BasicAuth != "NDcxMTp0aGUtY2xpZW50LXNlY3JldA==" {
		t.Errorf("secrets are %+v", all)
	}
}
