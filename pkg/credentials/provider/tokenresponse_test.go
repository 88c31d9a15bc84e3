package provider_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
)

var (
	describedStrava = provider.Strava("http://idp.test", settings.RevocationRevoke)
	describedFitbit = provider.Fitbit("http://idp.test", "http://idp.test")
	// asked is when each token is asked for here.
	asked = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	soon  = asked.Add(time.Hour + 5*time.Minute) // 5 minutes before it is due for renewal.
)

// answering returns a client of a provider that answers every call like this.
func answering(d provider.Description, status int, body string) *provider.OAuth {
	client := httpcall.NewClient()
	client.Transport = standin.InProcess(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	return provider.NewOAuth(client, d, func() time.Time { return asked })
}

func refreshed(t *testing.T, o *provider.OAuth) (credentials.TokenPair, error) {
	return o.Refresh(t.Context(), credentials.App{ClientID: "1", ClientSecret: secret.New("s")}, secret.New("old"))
}

func exchanged(t *testing.T, o *provider.OAuth) (credentials.TokenResponse, error) {
	return o.Exchange(t.Context(), credentials.App{ClientID: "1", ClientSecret: secret.New("s")}, redirectURI, secret.New("c"), secret.New("v"))
}

// holds reports whether the pair is the one that the answers here hold.
func holds(pair credentials.TokenPair) bool {
	return pair.Access.Reveal() == "new-a" && pair.Refresh.Reveal() == "new-r"
}

func TestTokensOfAnyLifeAreKept(t *testing.T) {
	for tail, want := range map[string]time.Time{
		`,"expires_in":21600`:                                     asked.Add(6 * time.Hour),
		`,"expires_in":21600.0`:                                   asked.Add(6 * time.Hour),
		`,"expires_in":2.16e4`:                                    asked.Add(6 * time.Hour),
		`,"expires_in":21600.9`:                                   asked.Add(6 * time.Hour),
		`,"expires_in":"21600"`:                                   asked.Add(6 * time.Hour),
		`,"expires_in":60`:                                        asked.Add(time.Minute),
		`,"expires_in":31536000`:                                  asked.AddDate(1, 0, 0),
		`,"expires_at":1795363200`:                                asked.Add(6 * time.Hour), // 2026-11-22T16:00:00Z
		`,"expires_at":"1795363200"`:                              asked.Add(6 * time.Hour),
		`,"expires_at":1795363200.0,"expires_in":null`:            asked.Add(6 * time.Hour),
		`,"expires_at":1795363200,"expires_in":"soon"`:            asked.Add(6 * time.Hour),
		`,"expires_at":1795363200,"expires_in":0`:                 asked.Add(6 * time.Hour),
		`,"expires_at":1795363200,"expires_in":28800`:             asked.Add(8 * time.Hour),
		`,"expires_in":14282,"expires_at":null`:                   asked.Add(14282 * time.Second),
		`,"expires_in":21600,"unknown":{"expires_in":[1]}`:        asked.Add(6 * time.Hour),
		`,"expires_in":21600,"Access_Token":"x","SCOPE":["read"]`: asked.Add(6 * time.Hour),
		``:                                       soon,
		`,"expires_in":null`:                     soon,
		`,"expires_in":0`:                        soon,
		`,"expires_in":-0`:                       soon,
		`,"expires_in":-5`:                       soon,
		`,"expires_in":31536001`:                 soon,
		`,"expires_in":9223372036854775808`:      soon,
		`,"expires_in":1e300`:                    soon,
		`,"expires_in":1e400`:                    soon,
		`,"expires_in":-1e400`:                   soon,
		`,"expires_in":NaN`:                      soon,
		`,"expires_in":"NaN"`:                    soon,
		`,"expires_in":"Infinity"`:               soon,
		`,"expires_in":"-inf"`:                   soon,
		`,"expires_in":""`:                       soon,
		`,"expires_in":"6h"`:                     soon,
		`,"expires_in":true`:                     soon,
		`,"expires_in":[21600]`:                  soon,
		`,"expires_in":{"s":21600}`:              soon,
		`,"expires_at":0`:                        soon,
		`,"expires_at":1795341599`:               soon, // A second ago.
		`,"expires_at":1795363200000`:            soon, // In milliseconds.
		`,"expires_at":"2026-11-22T16:00:00Z"`:   soon,
		`,"expires_at":1e308,"expires_in":1e308`: soon,
		`,`:                                      soon,
		`,"expires_in":21600`[:10] + "\x00":      soon,
	} {
		for _, d := range []provider.Description{describedStrava, describedFitbit} {
			for _, body := range []string{
				`{"token_type":"Bearer","access_token":"new-a","refresh_token":"new-r"` + tail + `}`,
				"\ufeff\n{" + strings.TrimPrefix(tail+`,`, ",") + `"refresh_token" : "new-r", "access_token":"new-a"}` + "\n",
			} {
				pair, err := refreshed(t, answering(d, 200, body))
				if err != nil || !holds(pair) || !pair.ExpiresAt.Equal(want) {
					t.Errorf("%s: %s: kept %v, expires at %v, want %v: %v", d.Provider, body, holds(pair), pair.ExpiresAt, want, err)
				}
			}
		}
	}
}

func TestTokensAreKeptUnderEverySuccess(t *testing.T) {
	for _, status := range []int{200, 201, 202, 203} {
		if pair, err := refreshed(t, answering(describedStrava, status, `{"access_token":"new-a","refresh_token":"new-r"}`)); err != nil || !holds(pair) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestTokensAreTakenAsTheyAre(t *testing.T) {
	pair, err := refreshed(t, answering(describedStrava, 200, `{"access_token":"a\/\u0062\"","refresh_token":"r","n":NaN}`))
	if err != nil || pair.Access.Reveal() != `a/b"` || pair.Refresh.Reveal() != "r" {
		t.Errorf("%v", err)
	}
}

func TestAResponseWithoutBothTokensIsAnError(t *testing.T) {
	for _, body := range []string{
		``, ` `, `null`, `7`, `"new-a new-r"`, `[]`, `[{"access_token":"new-a","refresh_token":"new-r"}]`, `{}`, `{`, `{"error":"x"}`,
		`<html>{"access_token":"new-a","refresh_token":"new-r"}</html>`,
		`{"access_token":"new-a"}`, `{"access_token":"new-a","refresh_token":""}`, `{"access_token":"new-a","refresh_token":null}`,
		`{"access_token":"new-a","refresh_token":7}`, `{"access_token":["new-a"],"refresh_token":"new-r"}`,
		`{"access_token":"new-a","Refresh_Token":"new-r"}`, `{"access_token":"new-a","refresh_token":"new-r`, `{"access_token":"new-a","refresh_token":"\x"}`,
		`{"data":{"access_token":"new-a","refresh_token":"new-r"}}`,
	} {
		for _, d := range []provider.Description{describedStrava, describedFitbit} {
			_, err := refreshed(t, answering(d, 200, body))
			if !fault.Is(err, fault.Transient) {
				t.Errorf("%s: %s: %v", d.Provider, body, err)
			} else if strings.Contains(err.Error(), "new-") {
				t.Errorf("%s: %s: the error shows it: %v", d.Provider, body, err)
			}
		}
	}
}

func TestScopesOfATokenResponse(t *testing.T) {
	for value, want := range map[string][]string{
		`"read,activity:read"`:            {"read", "activity:read"},
		`"read activity:read"`:            {"read", "activity:read"},
		`" read,\tactivity:read, "`:       {"read", "activity:read"},
		`["read","activity:read"]`:        {"read", "activity:read"},
		`["read activity:read"]`:          {"read", "activity:read"},
		`["read",null,7,{},["x"],"more"]`: {"read", "more"},
		`null`:                            nil, `""`: nil, `[]`: nil, `{}`: nil, `7`: nil, `true`: nil, `{"scope":"read"}`: nil,
	} {
		body := `{"access_token":"new-a","refresh_token":"new-r","expires_in":21600,"athlete":{"id":7},"user_id":"U","scope":` + value + `}`
		for _, d := range []provider.Description{describedStrava, describedFitbit} {
			auth, err := exchanged(t, answering(d, 200, body))
			if err != nil || !holds(auth.Tokens) || !slices.Equal(auth.Scopes, want) {
				t.Errorf("%s: %s: %v, %v", d.Provider, value, auth.Scopes, err)
			}
		}
	}
}

func TestAccountOfATokenResponse(t *testing.T) {
	for value, want := range map[string]struct{ strava, fitbit string }{
		`7`:                   {"7", "7"},
		`"7"`:                 {"7", "7"},
		`7.0`:                 {"7", "7"},
		`9007199254740993`:    {"9007199254740993", "9007199254740993"}, // More than a float64 holds.
		`9223372036854775807`: {"9223372036854775807", "9223372036854775807"},
		`9223372036854775808`: {"", "9223372036854775808"},
		`"GGNJL9"`:            {"", "GGNJL9"},
		`0`:                   {"", "0"},
		`-7`:                  {}, `7.5`: {}, `7e2`: {}, `null`: {}, `""`: {}, `true`: {}, `[7]`: {}, `{"id":7}`: {}, `"../app"`: {},
	} {
		for _, tc := range []struct {
			d      provider.Description
			member string
			want   string
		}{
			{describedStrava, `"athlete":{"firstname":null,"id":` + value + `}`, want.strava},
			{describedFitbit, `"user_id":` + value, want.fitbit},
		} {
			auth, err := exchanged(t, answering(tc.d, 200, `{"access_token":"new-a","refresh_token":"new-r","expires_in":21600,`+tc.member+`}`))
			if tc.want == "" {
				if !fault.Is(err, fault.Transient) {
					t.Errorf("%s: %s: %v, %v", tc.d.Provider, value, auth.Account, err)
				}
				continue
			}
			if err != nil || auth.Account != (credentials.Account{Provider: tc.d.Provider, ID: tc.want}) || !holds(auth.Tokens) {
				t.Errorf("%s: %s: %v, %v", tc.d.Provider, value, auth.Account, err)
			}
		}
	}
}

// anyJSON returns JSON values of every kind, some of them random.
func anyJSON(rng *rand.Rand) []string {
	values := []string{
		`null`, `true`, `false`, `0`, `1`, `-0`, `-1`, `1.5`, `21600`, `1795363200`, `1e9`, `1e-400`, `1e400`, `-1E+99999`, `9223372036854775808`,
		strings.Repeat("9", 5000), `""`, `"0"`, `"21600"`, `"NaN"`, `"-Infinity"`, `"0x1p-2"`, `"null"`, `"read"`, `"\ud83d\u0000\u202e"`, "\"\xff\xfe\"",
		`"access_token"`, `"\"refresh_token\":\"stolen\""`, `{"access_token":"stolen","refresh_token":"stolen"}`, `[]`, `{}`, `[null]`, `[1,"x",{}]`, `{"id":null}`,
		strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		strings.Repeat("[", 20000) + strings.Repeat("]", 20000), // Deeper than encoding/json reads.
	}
	for range 50 {
		values = append(values, randomJSON(rng, 4))
	}
	return values
}

func randomJSON(rng *rand.Rand, depth int) string {
	kinds := 5
	if depth == 0 {
		kinds = 3
	}
	switch rng.IntN(kinds) {
	case 0:
		return fmt.Sprint(rng.Int64() - rng.Int64())
	case 1:
		return fmt.Sprintf("%d.%de%d", rng.IntN(10), rng.IntN(1e6), rng.IntN(800)-400)
	case 2:
		runes := make([]rune, rng.IntN(20))
		for i := range runes {
			runes[i] = []rune{rng.Int32N(0x80), rng.Int32N(0x3000), 0x1f300 + rng.Int32N(0x300)}[rng.IntN(3)]
		}
		encoded, _ := json.Marshal(string(runes))
		return string(encoded)
	case 3:
		return "[" + randomJSON(rng, depth-1) + "," + randomJSON(rng, depth-1) + "]"
	default:
		return fmt.Sprintf(`{"a":%s,"id":%s}`, randomJSON(rng, depth-1), randomJSON(rng, 0))
	}
}

// TestAnInvalidMemberDoesNotAffectOthers replaces each member of an answer, but
// the tokens, by values of every kind. The tokens and the other members are read as
// before.
func TestAnInvalidMemberDoesNotAffectOthers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	members := map[string]string{
		"token_type": `"Bearer"`, "access_token": `"new-a"`, "refresh_token": `"new-r"`, "expires_at": `1795363200`, "expires_in": `21600`,
		"scope": `"read,activity:read"`, "athlete": `{"id":7}`, "user_id": `"U"`, "unknown": `1`,
	}
	join := func(members map[string]string) string {
		var list []string
		for name, value := range members {
			list = append(list, fmt.Sprintf("%q:%s", name, value))
		}
		return "{" + strings.Join(list, ",") + "}"
	}
	for _, d := range []provider.Description{describedStrava, describedFitbit} {
		before, err := exchanged(t, answering(d, 200, join(members)))
		if err != nil {
			t.Fatal(err)
		}
		account := map[string]string{"strava": "athlete", "fitbit": "user_id"}[d.Provider]
		for name := range members {
			if name == "access_token" || name == "refresh_token" {
				continue
			}
			for _, value := range anyJSON(rng) {
				changed := maps.Clone(members)
				changed[name] = value
				o := answering(d, 200, join(changed))
				pair, err := refreshed(t, o)
				if err != nil || !holds(pair) {
					t.Errorf("%s: %s: %.60s: the tokens are lost: %v", d.Provider, name, value, err)
					continue
				}
				if pair.ExpiresAt.Before(asked) || pair.ExpiresAt.After(asked.AddDate(1, 0, 0)) {
					t.Errorf("%s: %s: %.60s: expires at %v", d.Provider, name, value, pair.ExpiresAt)
				}
				if len(value) > 10000 {
					continue // Only the tokens are read of such an answer.
				}
				auth, err := exchanged(t, o)
				if err != nil {
					if name != account {
						t.Errorf("%s: %s: %.60s: %v", d.Provider, name, value, err)
					}
					continue
				}
				if !holds(auth.Tokens) ||
					name != "expires_in" && !auth.Tokens.ExpiresAt.Equal(before.Tokens.ExpiresAt) ||
					name != "scope" && !slices.Equal(auth.Scopes, before.Scopes) ||
					name != account && auth.Account != before.Account {
					t.Errorf("%s: %s: %.60s: %v, %v, expires at %v", d.Provider, name, value, auth.Account, auth.Scopes, auth.Tokens.ExpiresAt)
				}
			}
		}
	}
}

// TestTokensWithoutAnAccountAreKept: the response to a code does not name the
// account, so it is read from the profile. Only if that fails, too, are the tokens
// revoked.
func TestTokensWithoutAnAccountAreKept(t *testing.T) {
	const tokens = `{"access_token":"a","refresh_token":"r","expires_in":21600}`
	for name, tc := range map[string]struct {
		profile string
		account string
		revoked int
	}{
		"a profile":         {`{"id":7.0,"firstname":"x"}`, "7", 0},
		"no usable profile": {`<html>`, "", 2}, // Once for each token.
	} {
		t.Run(name, func(t *testing.T) {
			revoked := 0
			client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				body := tokens
				switch r.URL.Path {
				case "/api/athlete":
					if r.Header.Get("Authorization") != "Bearer a" {
						t.Errorf("authorized by %q", r.Header.Get("Authorization"))
					}
					body = tc.profile
				case "/oauth/revoke":
					revoked++
				}
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})}
			d := provider.Strava("http://strava.test/oauth", settings.RevocationRevoke)
			d.ProfileURL = "http://strava.test/api/athlete"
			auth, err := provider.NewOAuth(client, d, time.Now).Exchange(t.Context(), credentials.App{ClientID: "1"}, "http://cb", secret.New("c"), secret.New("v"))
			if auth.Account.ID != tc.account || (err != nil) != (tc.account == "") || revoked != tc.revoked {
				t.Errorf("account %q, %v, revoked %d times", auth.Account.ID, err, revoked)
			}
		})
	}
}
