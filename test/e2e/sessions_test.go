package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// key is a key as the response that creates it contains it.
type key struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Secret string `json:"secret"`
}

// newKey creates a key for the browser's athlete.
func (b *browser) newKey(name string) (k key) {
	b.t.Helper()
	a := b.post("/v1/me/keys", map[string]string{"name": name})
	if err := json.Unmarshal(a.body, &k); a.status != http.StatusCreated || err != nil {
		b.t.Fatalf("creating a key: %d %s", a.status, a.body)
	}
	return k
}

// requestByKey sends a request with a key, as a program does.
func (c *cloud) requestByKey(t *testing.T, method, path, key string) response {
	t.Helper()
	return c.request(t, method, path, map[string]string{"Authorization": "Bearer " + key})
}

// requestByCookie sends a request with only this cookie.
func (c *cloud) requestByCookie(t *testing.T, method, path, cookie string) response {
	t.Helper()
	return c.request(t, method, path, map[string]string{"Cookie": cookie})
}

// request sends a request with only these headers.
func (c *cloud) request(t *testing.T, method, target string, headers map[string]string) response {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = c.outputs.App + target
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return response{res.StatusCode, res.Header, body.Bytes()}
}

// credentialNumbers returns the numeric attributes stored for a session or key.
func (c *cloud) credentialNumbers(t *testing.T, athlete int64, token string) map[string]int64 {
	t.Helper()
	out, err := dynamodb.NewFromConfig(c.aws(t)).GetItem(t.Context(), &dynamodb.GetItemInput{
		TableName: aws.String(c.resource(t, "Credentials", "AWS::DynamoDB", "credentials")), Key: credentialKey(athlete, token), ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[string]int64{}
	for name, value := range out.Item {
		if n, is := value.(*types.AttributeValueMemberN); is {
			if numbers[name], err = strconv.ParseInt(n.Value, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return numbers
}

// changeCredential changes numeric attributes stored for a session or key.
func (c *cloud) changeCredential(t *testing.T, athlete int64, token string, to map[string]int64) {
	t.Helper()
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String(c.resource(t, "Credentials", "AWS::DynamoDB", "credentials")), Key: credentialKey(athlete, token),
		ConditionExpression:       aws.String("attribute_exists(athlete_id)"),
		ExpressionAttributeValues: map[string]types.AttributeValue{},
	}
	var sets []string
	for name, n := range to {
		sets = append(sets, name+" = :"+name)
		in.ExpressionAttributeValues[":"+name] = &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
	}
	in.UpdateExpression = aws.String("SET " + strings.Join(sets, ", "))
	if _, err := dynamodb.NewFromConfig(c.aws(t)).UpdateItem(context.WithoutCancel(t.Context()), in); err != nil {
		t.Fatal(err)
	}
}

func credentialKey(athlete int64, token string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"athlete_id": &types.AttributeValueMemberN{Value: strconv.FormatInt(athlete, 10)},
		"hash":       &types.AttributeValueMemberS{Value: secret.New(token).SHA256()},
	}
}

// refusedWithin is the time within which an ended session or key must be refused.
const refusedWithin = time.Minute

// sessionsAndKeysEnd signs an athlete, who has a session on a laptop, in on other
// devices, logs out, and logs out everywhere.
func sessionsAndKeysEnd(t *testing.T, c *cloud, laptop *browser, athlete int64) {
	phone := c.browser(t)
	prefetchedCallback(t, c, phone, athlete)
	for name, b := range map[string]*browser{"laptop": laptop, "phone": phone} {
		if a := b.do("GET", "/v1/me"); a.status != http.StatusOK {
			t.Fatalf("%s: %d", name, a.status)
		}
	}
	// The laptop's session belongs to an earlier authorization than the phone's.
	if a := laptop.do("POST", "/v1/me/sync"); a.status != http.StatusAccepted && a.status != http.StatusTooManyRequests {
		t.Errorf("a refresh with the earlier session: %d %s", a.status, a.body)
	}

	kept := phone.session()
	if a := phone.do("POST", "/oauth/logout"); a.status != http.StatusNoContent {
		t.Fatalf("logging out: %d %s", a.status, a.body)
	}
	if a := c.requestByCookie(t, "POST", "/v1/me/sync", kept); a.status != http.StatusUnauthorized {
		t.Errorf("a write with an ended session: %d", a.status)
	}
	eventually(t, refusedWithin, "the ended session to be refused", func() bool {
		return c.requestByCookie(t, "GET", "/v1/me", kept).status == http.StatusUnauthorized
	})
	if a := laptop.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("the laptop after logging out of the phone: %d", a.status)
	}

	sessionIsRenewed(t, c, athlete)

	keyReadsAndEnds(t, c, laptop)

	tablet := c.browser(t)
	if got := tablet.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	cookies := []string{laptop.session(), tablet.session()}
	if a := tablet.do("DELETE", "/v1/me/sessions"); a.status != http.StatusNoContent {
		t.Fatalf("logging out everywhere: %d %s", a.status, a.body)
	}
	for _, cookie := range cookies {
		eventually(t, refusedWithin, "every session to be refused", func() bool {
			return c.requestByCookie(t, "GET", "/v1/me", cookie).status == http.StatusUnauthorized
		})
	}
	if got := laptop.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting again redirects to %q", got)
	}
	if a := laptop.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("the laptop after connecting again: %d", a.status)
	}
}

// prefetchedCallback connects through a callback that the browser prefetches,
// follows and reloads, and that another browser requests, too.
func prefetchedCallback(t *testing.T, c *cloud, b *browser, athlete int64) {
	for _, header := range []string{"Sec-Purpose", "Purpose"} {
		if a := c.request(t, "GET", "/oauth/connect", map[string]string{header: "prefetch"}); a.status != http.StatusNoContent || a.header.Get("Set-Cookie") != "" {
			t.Errorf("connect, prefetched with %s: %d %v", header, a.status, a.header)
		}
	}
	toStrava := b.do("GET", "/oauth/connect")
	back := b.do("GET", toStrava.header.Get("Location")+"&as_athlete="+strconv.FormatInt(athlete, 10)).header.Get("Location")
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, cookie := range b.client.Jar.Cookies(u) {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	jar := strings.Join(cookies, "; ")
	prefetched := c.request(t, "GET", back, map[string]string{"Cookie": jar, "Sec-Purpose": "prefetch;prerender"})
	if prefetched.status != http.StatusNoContent || prefetched.header.Get("Set-Cookie") != "" {
		t.Errorf("the prefetched callback: %d %v", prefetched.status, prefetched.header)
	}
	if a := c.request(t, "HEAD", back, map[string]string{"Cookie": jar}); a.header.Get("Set-Cookie") != "" || a.status == http.StatusFound {
		t.Errorf("HEAD of the callback: %d %v", a.status, a.header)
	}
	// Repeated requests succeed, and another browser is refused.
	for n, want := range []string{"/", "/", "/"} {
		if got := b.do("GET", back).header.Get("Location"); got != want {
			t.Fatalf("the callback redirects to %q in request %d", got, n+1)
		}
	}
	if got := c.browser(t).do("GET", back).header.Get("Location"); got != "/?error=state" {
		t.Errorf("in another browser the callback redirects to %q", got)
	}
}

// sessionIsRenewed uses a session that is about to end.
func sessionIsRenewed(t *testing.T, c *cloud, athlete int64) {
	b := c.browser(t)
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	_, token, _ := strings.Cut(b.session(), "=")
	today := time.Now().UTC().Truncate(24 * time.Hour)
	soonOver := time.Now().Add(time.Minute)
	c.changeCredential(t, athlete, token, map[string]int64{
		"used_on": today.AddDate(0, 0, -7).UnixMilli(), "good_until": soonOver.UnixMilli(), "expires_at": soonOver.Unix(),
	})
	if a := b.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Fatalf("a session that ends in a minute: %d", a.status)
	}
	stored := c.credentialNumbers(t, athlete, token)
	// The day may have changed during the test.
	day, end := time.UnixMilli(stored["used_on"]).UTC(), time.UnixMilli(stored["good_until"]).UTC()
	if day.Before(today) || !end.Equal(day.AddDate(0, 0, 8)) || stored["expires_at"] != end.Unix() {
		t.Errorf("after its use: %v", stored)
	}
}

// keyReadsAndEnds reads with a key until it is revoked.
func keyReadsAndEnds(t *testing.T, c *cloud, b *browser) {
	k := b.newKey("Garage door")
	var me struct{ ID int64 }
	if a := c.requestByKey(t, "GET", "/v1/me", k.Secret); a.status != http.StatusOK || json.Unmarshal(a.body, &me) != nil || me.ID == 0 {
		t.Errorf("reading with a key: %d %s", a.status, a.body)
	}
	for _, call := range []string{"POST /v1/me/sync", "DELETE /v1/me", "DELETE /v1/me/sessions", "GET /v1/me/keys", "POST /v1/me/keys", "DELETE /v1/me/keys/" + k.ID} {
		method, path, _ := strings.Cut(call, " ")
		if a := c.requestByKey(t, method, path, k.Secret); a.status != http.StatusForbidden {
			t.Errorf("%s with a key: %d %s", call, a.status, a.body)
		}
	}
	var list struct {
		Items []struct {
			key
			LastUsedOn string `json:"last_used_on"`
		}
	}
	b.get("/v1/me/keys", &list)
	if n := len(list.Items); n == 0 || list.Items[n-1].ID != k.ID || list.Items[n-1].LastUsedOn == "" || list.Items[n-1].Secret != "" {
		t.Errorf("%+v", list)
	}
	if a := b.do("DELETE", "/v1/me/keys/"+k.ID); a.status != http.StatusNoContent {
		t.Fatalf("revoking: %d %s", a.status, a.body)
	}
	eventually(t, refusedWithin, "the revoked key to be refused", func() bool {
		a := c.requestByKey(t, "GET", "/v1/me", k.Secret)
		return a.status == http.StatusUnauthorized && bytes.Contains(a.body, []byte("#revoked-key"))
	})
}

// adminEndsSessions lets the admin end every session. Keys stay valid, and
// athletes can connect again.
func adminEndsSessions(t *testing.T, c *cloud, b *browser, athlete int64) {
	k := b.newKey("Stays")
	kept := b.session()
	var ended struct{ Ended int }
	if c.admin(t, &ended, "sessions", "end"); ended.Ended < 2 {
		t.Errorf("%d sessions ended", ended.Ended)
	}
	eventually(t, refusedWithin, "the session to be refused", func() bool {
		return c.requestByCookie(t, "GET", "/v1/me", kept).status == http.StatusUnauthorized
	})
	if a := c.requestByKey(t, "GET", "/v1/me", k.Secret); a.status != http.StatusOK {
		t.Errorf("the key: %d", a.status)
	}
	if got := b.connect(athlete, ""); got != "/" {
		t.Fatalf("connecting redirects to %q", got)
	}
	if a := b.do("GET", "/v1/me"); a.status != http.StatusOK {
		t.Errorf("after connecting: %d", a.status)
	}
	if a := b.do("DELETE", fmt.Sprintf("/v1/me/keys/%s", k.ID)); a.status != http.StatusNoContent {
		t.Errorf("revoking the key: %d", a.status)
	}
}
