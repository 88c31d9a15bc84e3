package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/standin/fitbit"
)

// fitbitUser is the Fitbit account that the tests link.
const fitbitUser = "GGNJL9"

// TestLinks links an account at Fitbit, uses it, refreshes its token, unlinks it,
// links it again, and lets its athlete leave.
func TestLinks(t *testing.T) {
	t.Parallel()
	c := start(t, "links")
	athlete := c.athletes(t)[0].ID
	b := c.browser(t)
	if back := b.connect(athlete, ""); back != "/" {
		t.Fatalf("connect: redirected to %s", back)
	}

	t.Run("an account is linked and shown", func(t *testing.T) { accountIsLinked(t, c, b.in(t)) })
	t.Run("workers of other systems use the account and its token is refreshed", func(t *testing.T) { workersUseAccount(t, c, athlete) })
	t.Run("unlinking revokes access, erases the link and returns a receipt", func(t *testing.T) { unlinkingErases(t, c, b.in(t)) })
	t.Run("leaving also erases the link", func(t *testing.T) { leavingErasesLink(t, c, b.in(t), athlete) })
	t.Run("the dead-letter queues are empty", func(t *testing.T) { deadLettersAreEmpty(t, c) })
	t.Run("no secret leaks", func(t *testing.T) { nothingOfFitbitLeaks(t, c) })
}

// controlFitbit calls the control API of the stand-in for Fitbit.
func (c *cloud) controlFitbit(t *testing.T, method, path string, body, into any) {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.outputs.Fitbit["api"]+"/control"+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: status %d", method, path, res.StatusCode)
	}
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
}

// linkedAtFitbit reports whether Fitbit counts the account as connected.
func (c *cloud) linkedAtFitbit(t *testing.T) bool {
	t.Helper()
	var people []fitbit.UserState
	c.controlFitbit(t, "GET", "/people", nil, &people)
	for _, p := range people {
		if p.ID == fitbitUser {
			return p.Connected
		}
	}
	t.Fatal("the stand-in has no such person")
	return false
}

// link follows Fitbit's OAuth flow and returns the location to which the callback
// redirects.
func (b *browser) link(more string) string {
	b.t.Helper()
	begun := b.do("GET", "/oauth/fitbit/connect")
	if begun.status != http.StatusFound {
		b.t.Fatalf("link: status %d: %s", begun.status, begun.body)
	}
	back := b.do("GET", begun.header.Get("Location")+"&as_user="+fitbitUser+more)
	if back.status != http.StatusFound {
		b.t.Fatalf("authorize: status %d: %s", back.status, back.body)
	}
	target, _, _ := strings.Cut(back.header.Get("Location"), "#")
	done := b.do("GET", target)
	if done.status != http.StatusFound {
		b.t.Fatalf("callback: status %d: %s", done.status, done.body)
	}
	return done.header.Get("Location")
}

// linkedAccounts returns the linked accounts in the athlete's profile.
func (b *browser) linkedAccounts() (ids []string) {
	b.t.Helper()
	var me struct {
		LinkedAccounts []struct {
			Provider  string `json:"provider"`
			AccountID string `json:"account_id"`
		} `json:"linked_accounts"`
	}
	b.get("/v1/me", &me)
	for _, l := range me.LinkedAccounts {
		ids = append(ids, l.Provider+"/"+l.AccountID)
	}
	return ids
}

// awaitLink waits until the API returns exactly this account, or none if want is
// empty.
func (b *browser) awaitLink(want string) {
	b.t.Helper()
	eventually(b.t, time.Minute, "the link "+want, func() bool { return strings.Join(b.linkedAccounts(), " ") == want })
}

func accountIsLinked(t *testing.T, c *cloud, b *browser) {
	if a := c.browser(t).do("GET", "/oauth/fitbit/connect"); a.status != http.StatusUnauthorized {
		t.Errorf("linking without a session: %d", a.status)
	}
	for _, path := range []string{"/v1/me/links/fitbit", "/v1/me/links/garmin", "/oauth/garmin/connect", "/oauth/garmin/callback"} {
		if a := b.do("GET", path); a.status != http.StatusNotFound || !strings.Contains(string(a.body), "#not-found") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if back := b.link("&deny=1"); back != "/?error=link_denied" {
		t.Errorf("denied: redirected to %s", back)
	}
	if back := b.link(""); back != "/" {
		t.Fatalf("redirected to %s", back)
	}
	b.awaitLink("fitbit/" + fitbitUser)
	var shown struct {
		DisplayName   string `json:"display_name"`
		Date          string `json:"date"`
		Steps         int    `json:"steps"`
		ActiveMinutes int    `json:"active_minutes"`
	}
	b.get("/v1/me/links/fitbit", &shown)
	var day fitbit.Day
	c.controlFitbit(t, "GET", "/people/"+fitbitUser+"/days/"+shown.Date, nil, &day)
	if shown.DisplayName != "Ada K." || shown.Steps != day.Summary.Steps ||
		shown.ActiveMinutes != day.Summary.FairlyActiveMinutes+day.Summary.VeryActiveMinutes {
		t.Errorf("shown %+v, at Fitbit %+v", shown, day.Summary)
	}
}

// useAccounts invokes the function that workers of other systems use.
func (c *cloud) useAccounts(t *testing.T, req map[string]any) (body string, failed bool) {
	t.Helper()
	payload, err := json.Marshal(req)
	if err != nil {
		t.Fatal(err)
	}
	out, err := lambda.NewFromConfig(c.aws(t)).Invoke(t.Context(), &lambda.InvokeInput{
		FunctionName: aws.String(c.resource(t, "Credentials", "AWS::Lambda::Function", "useaccounts")), Payload: payload,
	})
	if err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer // The emulator formats the payload.
	if err := json.Compact(&compact, out.Payload); err != nil {
		t.Fatal(err)
	}
	return compact.String(), out.FunctionError != nil
}

func workersUseAccount(t *testing.T, c *cloud, athlete int64) {
	body, failed := c.useAccounts(t, map[string]any{"action": "list", "provider": "fitbit"})
	want := fmt.Sprintf(`{"accounts":[{"account_id":%q,"state":"active","owner":%d,"scopes":["activity","profile"]}]}`, fitbitUser, athlete)
	if failed || body != want {
		t.Errorf("list: %s, want %s", body, want)
	}
	call := map[string]any{"action": "call", "provider": "fitbit", "account_id": fitbitUser, "path": "/1/user/-/profile.json"}
	before := c.fitbitCounters(t).Total(fitbit.EndpointRefresh, fitbitUser)
	c.controlFitbit(t, "PUT", "/people/"+fitbitUser+"/token-life", map[string]int{"left_seconds": 0}, nil)
	for range 2 {
		if body, failed := c.useAccounts(t, call); failed || !strings.Contains(body, `"outcome":"answered"`) || !strings.Contains(body, "Ada Kowalska") {
			t.Errorf("call: %s", body)
		}
	}
	if n := c.fitbitCounters(t).Total(fitbit.EndpointRefresh, fitbitUser) - before; n != 1 {
		t.Errorf("%d refreshes", n)
	}
	for name, change := range map[string]map[string]any{
		"another path":     {"path": "/1/user/-/sleep.json"},
		"another provider": {"provider": "strava", "account_id": strconv.FormatInt(athlete, 10), "path": "/athlete"},
	} {
		req := map[string]any{}
		for k, v := range call {
			req[k] = v
		}
		for k, v := range change {
			req[k] = v
		}
		if body, failed := c.useAccounts(t, req); !failed {
			t.Errorf("%s: %s", name, body)
		}
	}
	if body, _ := c.useAccounts(t, map[string]any{"action": "call", "provider": "fitbit", "account_id": "26FWFL", "path": "/1/user/-/profile.json"}); !strings.Contains(body, `"outcome":"revoked"`) {
		t.Errorf("an account that is not linked: %s", body)
	}
}

func (c *cloud) fitbitCounters(t *testing.T) (counters fitbit.Counters) {
	t.Helper()
	c.controlFitbit(t, "GET", "/counters", nil, &counters)
	return counters
}

// mustHaveErasedFitbit checks that the grants have only a tombstone of the
// account, that no parameter is left, and that Fitbit does not count it.
func (c *cloud) mustHaveErasedFitbit(t *testing.T) {
	t.Helper()
	body, _ := c.useAccounts(t, map[string]any{"action": "list", "provider": "fitbit"})
	if !strings.Contains(body, `"state":"erased"`) || strings.Contains(body, "owner") {
		t.Errorf("list: %s", body)
	}
	for _, name := range c.parameters(t) {
		if strings.Contains(name, fitbitUser) {
			t.Errorf("the parameter %s is left", name)
		}
	}
	if c.linkedAtFitbit(t) {
		t.Error("Fitbit still counts the account as connected")
	}
}

func unlinkingErases(t *testing.T, c *cloud, b *browser) {
	var ending struct {
		StatusURL string `json:"status_url"`
	}
	a := b.do("DELETE", "/v1/me/links/fitbit")
	if err := json.Unmarshal(a.body, &ending); a.status != http.StatusAccepted || err != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var status erasure
	eventually(t, time.Minute, "the receipt", func() bool {
		b.get(ending.StatusURL, &status)
		return status.State == "erased"
	})
	what := []string{}
	for _, part := range status.Erased {
		what = append(what, part.What)
	}
	if strings.Join(what, " ") != "linked_account link" && strings.Join(what, " ") != "link linked_account" {
		t.Errorf("erased %v", what)
	}
	b.awaitLink("")
	c.mustHaveErasedFitbit(t)
	if a := b.do("GET", "/v1/me/links/fitbit"); a.status != http.StatusNotFound {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func leavingErasesLink(t *testing.T, c *cloud, b *browser, athlete int64) {
	if back := b.link(""); back != "/" {
		t.Fatalf("redirected to %s", back)
	}
	b.awaitLink("fitbit/" + fitbitUser)
	b.leaveWith(athlete, erasedWithin, 5)
	c.mustHaveErasedFitbit(t)
}

func nothingOfFitbitLeaks(t *testing.T, c *cloud) {
	var all fitbit.Secrets
	c.controlFitbit(t, "GET", "/secrets", nil, &all)
	secrets := words{all.ClientSecret: "client secret", all.BasicAuth: "basic auth", "Ada Kowalska": "name"}
	for kind, list := range map[string][]string{"access token": all.AccessTokens, "refresh token": all.RefreshTokens, "code": all.Codes} {
		if len(list) < 2 {
			t.Errorf("Fitbit issued %d of kind %s", len(list), kind)
		}
		for _, s := range list {
			secrets[s] = kind
		}
	}
	c.paceline(t, "down")
	forwarded := false
	c.searchFiles(t, secrets, func(path string, b []byte) {
		forwarded = forwarded || filepath.Base(path) == "cloudwatch_logs.json" && bytes.Contains(b, []byte("provider=fitbit"))
	})
	if !forwarded {
		t.Error("the search proves nothing: the functions' log has no call to Fitbit")
	}
}
