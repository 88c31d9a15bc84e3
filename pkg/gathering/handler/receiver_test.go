package handler_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/handler"
	"github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/pkg/kit/secret"
)

func newReceiver(t *testing.T) (func(route, key, body string, query map[string]string) api.Response, *gatheringtest.Memory) {
	memory := gatheringtest.NewMemory()
	store, ports := memory.Store, memory.Ports(time.Now)
	_, err := store.UpdateWebhook(t.Context(), func(w *gathering.Webhook) (bool, error) {
		w.CallbackKeySHA256, w.VerifyTokenSHA256 = secret.New("key").SHA256(), secret.New("token").SHA256()
		w.SubscriptionID, w.Version = 120475, 1
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.UpdateInbox(t.Context(), 134815, func(m *gathering.Inbox) (bool, error) { m.Generation = 1; return true, nil })
	if err != nil {
		t.Fatal(err)
	}
	serve := api.Mux(ports.Log, handler.WebhookRoutes(ports.Receiver()))
	return func(route, key, body string, query map[string]string) api.Response {
		t.Helper()
		req := api.Request{RouteKey: route + " /webhooks/strava/{key}", PathParameters: map[string]string{"key": key}, Body: body, QueryStringParameters: query}
		if strings.HasPrefix(body, "base64:") {
			req.Body, req.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(body[7:])), true
		}
		res, err := serve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}, memory
}

// hint is the one hint in the inbox, if there is one.
func hint(t *testing.T, store *gatheringtest.Store) (h gathering.Hint) {
	t.Helper()
	_, err := store.UpdateInbox(t.Context(), 134815, func(m *gathering.Inbox) (bool, error) {
		if len(m.Hints) > 0 {
			h = m.Hints[0]
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHandshakeEchoesTheChallenge(t *testing.T) {
	call, _ := newReceiver(t)
	q := func(mode, token, challenge string) map[string]string {
		return map[string]string{"hub.mode": mode, "hub.verify_token": token, "hub.challenge": challenge}
	}
	res := call("GET", "key", "", q("subscribe", "token", "15f7d1a91c1f40f8a748fd134752feb3"))
	if res.StatusCode != 200 || res.Headers["Content-Type"] != "application/json" || res.Body != `{"hub.challenge":"15f7d1a91c1f40f8a748fd134752feb3"}` {
		t.Errorf("response %+v", res)
	}
	for name, tc := range map[string]struct {
		key    string
		query  map[string]string
		status int
	}{
		"a wrong key":   {"x", q("subscribe", "token", "c"), 404},
		"a wrong token": {"key", q("subscribe", "x", "c"), 403},
		"another mode":  {"key", q("unsubscribe", "token", "c"), 400},
		"no challenge":  {"key", q("subscribe", "token", ""), 400},
	} {
		if res := call("GET", tc.key, "", tc.query); res.StatusCode != tc.status {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
	}
}

// documented is the example in Strava's webhook documentation.
const documented = `{"aspect_type":"update","event_time":1516126040,"object_id":1360128428,"object_type":"activity","owner_id":134815,"subscription_id":120475,"updates":{"title":"Messy"}}`

func TestEventsAreReceived(t *testing.T) {
	deauthorization := func(value string) string {
		return `{"aspect_type":"update","event_time":1,"object_id":134815,"object_type":"athlete","owner_id":134815,"subscription_id":120475,"updates":{"authorized":` + value + `}}`
	}
	for name, tc := range map[string]struct {
		key, body string
		status    int
		aspect    string
	}{
		"the documented example":         {"key", documented, 200, gathering.AspectUpdate},
		"in base64":                      {"key", "base64:" + documented, 200, gathering.AspectUpdate},
		"no updates":                     {"key", strings.Replace(documented, `,"updates":{"title":"Messy"}`, "", 1), 200, gathering.AspectUpdate},
		"a boolean among the updates":    {"key", strings.Replace(documented, `"Messy"`, "true", 1), 200, gathering.AspectUpdate},
		"a new activity":                 {"key", strings.Replace(documented, `"update"`, `"create"`, 1), 200, gathering.AspectCreate},
		"a deletion":                     {"key", strings.Replace(documented, `"update"`, `"delete"`, 1), 200, gathering.AspectDelete},
		"an aspect that is new":          {"key", strings.Replace(documented, `"update"`, `"merge"`, 1), 200, ""},
		"a deauthorization":              {"key", deauthorization(`"false"`), 200, gathering.AspectDeauthorize},
		"a deauthorization by a boolean": {"key", deauthorization(`false`), 200, gathering.AspectDeauthorize},
		"still authorized":               {"key", deauthorization(`"true"`), 200, ""},
		"an unknown athlete":             {"key", strings.Replace(documented, "134815", "134816", 1), 200, ""},
		"a wrong key":                    {"x", documented, 404, ""},
		"another subscription":           {"key", strings.Replace(documented, "120475", "120476", 1), 400, ""},
		"not JSON":                       {"key", "hello", 400, ""},
		"an id that is no number":        {"key", strings.Replace(documented, "1360128428", `"x"`, 1), 400, ""},
		"no owner":                       {"key", strings.Replace(documented, "134815", "0", 1), 400, ""},
		"a large body":                   {"key", documented + strings.Repeat(" ", 32<<10), 413, ""},
		"the largest body":               {"key", documented + strings.Repeat(" ", 32<<10-len(documented)), 200, gathering.AspectUpdate},
	} {
		call, memory := newReceiver(t)
		store, metrics := memory.Store, memory.Metrics
		if res := call("POST", tc.key, tc.body, nil); res.StatusCode != tc.status {
			t.Errorf("%s: status %d, body %s", name, res.StatusCode, res.Body)
		}
		if h := hint(t, store); h.Aspect != tc.aspect {
			t.Errorf("%s: %+v in the inbox", name, h)
		}
		if rejected := metrics.Of(metric.WebhookRejected) == 1; rejected != (tc.status != 200) {
			t.Errorf("%s: counted as rejected: %v", name, rejected)
		}
		stored, err := store.WebhookEvents(t.Context(), time.Now())
		if err != nil || stored != metrics.Of(metric.WebhookEvents) {
			t.Errorf("%s: %d counted in the store, %v", name, stored, err)
		}
		counted := metrics.Of(metric.WebhookRejected) + metrics.Of(metric.WebhookIgnored) + metrics.Of(metric.WebhookUnknown) + metrics.Of(metric.WebhookEvents)
		if ignored := metrics.Of(metric.WebhookIgnored) == 1; counted != 1 || ignored != (tc.status == 200 && tc.aspect == "" && name != "an unknown athlete") {
			t.Errorf("%s: counted %d times, as ignored: %v", name, counted, ignored)
		}
	}
}

func TestAnEventThatCannotBeStoredIsNotAcknowledged(t *testing.T) {
	call, memory := newReceiver(t)
	store := memory.Store
	if res := call("POST", "key", documented, nil); res.StatusCode != 200 {
		t.Fatalf("status %d", res.StatusCode)
	}
	store.Fail(errors.New("boom"))
	if res := call("POST", "key", strings.Replace(documented, "1516126040", "1516126041", 1), nil); res.StatusCode < 500 {
		t.Errorf("status %d", res.StatusCode)
	}
}

// packed returns a body as gzip.
func packed(t *testing.T, body string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// body is the documented example with members replaced; one replaced by "" is
// missing.
func body(t *testing.T, replaced map[string]string) string {
	t.Helper()
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(documented), &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range replaced {
		if value == "" {
			delete(members, name)
		} else {
			members[name] = json.RawMessage(value)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMembersAreReadInEveryFormWhoseMeaningIsClear(t *testing.T) {
	with := func(name, value string) string { return body(t, map[string]string{name: value}) }
	bodies := map[string]string{
		"gzip":                 "base64:" + packed(t, documented),
		"gzip not in base64":   packed(t, documented),
		"a byte order mark":    "\ufeff" + documented,
		"a mark within gzip":   "base64:" + packed(t, "\ufeff"+documented),
		"spaces around":        " \r\n" + documented + "\n ",
		"a member that is new": with("extra", `{"deep":[{}]}`),
	}
	for _, name := range []string{"object_id", "owner_id", "subscription_id"} {
		n := map[string]string{"object_id": "1360128428", "owner_id": "134815", "subscription_id": "120475"}[name]
		for _, value := range []string{`"` + n + `"`, n + ".0", `"` + n + `.0"`, `" ` + n + ` "`} {
			bodies[name+" as "+value] = with(name, value)
		}
	}
	for _, value := range []string{"", "null", "[]", "{}", `""`, `"{}"`, `"null"`, `"junk"`, "7", "true", `["a"]`, `{"title":null}`, `{"private":true}`, `{"a":{"b":[1,{"c":null}]}}`, `{"title":1e400}`} {
		bodies["updates as "+value] = with("updates", value)
	}
	for name, body := range bodies {
		call, memory := newReceiver(t)
		store, metrics := memory.Store, memory.Metrics
		if res := call("POST", "key", body, nil); res.StatusCode != 200 {
			t.Errorf("%s: status %d, body %s", name, res.StatusCode, res.Body)
		}
		h := hint(t, store)
		if h.Aspect != gathering.AspectUpdate || h.ActivityID != 1360128428 || h.EventTime != 1516126040 || metrics.Of(metric.WebhookEvents) != 1 {
			t.Errorf("%s: the hint %+v", name, h)
		}
	}
	// The largest id is not rounded.
	call, memory := newReceiver(t)
	store := memory.Store
	if call("POST", "key", with("object_id", "9223372036854775807"), nil); hint(t, store).ActivityID != 9223372036854775807 {
		t.Errorf("hint %+v", hint(t, store))
	}
}

func TestADeauthorizationIsReadInAnyForm(t *testing.T) {
	athlete := func(aspect, updates string) string {
		return body(t, map[string]string{"object_type": `"athlete"`, "object_id": "134815", "aspect_type": aspect, "updates": updates})
	}
	for _, tc := range []struct {
		aspect, updates string
		taken           bool
	}{
		{`"update"`, `{"authorized":"false"}`, true},
		{`"update"`, `{"authorized":"False"}`, true},
		{`"update"`, `{"authorized":" FALSE "}`, true},
		{`"update"`, `{"authorized":false}`, true},
		{`"update"`, `"{\"authorized\":\"false\"}"`, true},
		{`"delete"`, `{"authorized":"false"}`, true},
		{`"update"`, `{"authorized":"true"}`, false},
		{`"update"`, `{"authorized":null}`, false},
		{`"update"`, `{"authorized":{"false":false}}`, false},
		{`"update"`, `{"title":"false"}`, false},
		{`"delete"`, `{}`, false},
		{`"delete"`, ``, false},
	} {
		call, memory := newReceiver(t)
		store, metrics := memory.Store, memory.Metrics
		res := call("POST", "key", athlete(tc.aspect, tc.updates), nil)
		want := map[bool]string{true: gathering.AspectDeauthorize}[tc.taken]
		if h := hint(t, store); res.StatusCode != 200 || h.Aspect != want {
			t.Errorf("%s %s: %d, the hint %+v", tc.aspect, tc.updates, res.StatusCode, h)
		}
		if ignored := metrics.Of(metric.WebhookIgnored) == 1; ignored == tc.taken {
			t.Errorf("%s %s: counted as ignored: %v", tc.aspect, tc.updates, ignored)
		}
	}
}

func TestAnEventTimeThatCannotBeReadIsTheTimeOfReceipt(t *testing.T) {
	for value, want := range map[string]int64{`"1516126040"`: 1516126040, "1516126040.5": 1516126040, "1.51612604e9": 1516126040} {
		call, memory := newReceiver(t)
		store := memory.Store
		call("POST", "key", body(t, map[string]string{"event_time": value}), nil)
		if h := hint(t, store); h.EventTime != want {
			t.Errorf("%s: hint %+v", value, h)
		}
	}
	for _, value := range []string{"", "null", "0", "-5", `"yesterday"`, "{}", "1e300", `"NaN"`, `"Inf"`} {
		call, memory := newReceiver(t)
		store, metrics := memory.Store, memory.Metrics
		sent := body(t, map[string]string{"event_time": value})
		began := time.Now()
		first, again := call("POST", "key", sent, nil), call("POST", "key", sent, nil)
		if first.StatusCode != 200 || again.StatusCode != 200 {
			t.Errorf("%q: %d, then %d", value, first.StatusCode, again.StatusCode)
		}
		h := hint(t, store)
		if h.Aspect != gathering.AspectUpdate || h.EventTime < began.Unix() || h.EventTime > time.Now().Unix() {
			t.Errorf("%q: the hint %+v", value, h)
		}
		// Unless the two fell into different hours, Strava's second try is known.
		if began.Hour() == time.Now().Hour() && metrics.Of(metric.WebhookDuplicates) != 1 {
			t.Errorf("%q: the second try counted as another event", value)
		}
	}
}

func TestAnUnreadableEventIsRefusedWithAReason(t *testing.T) {
	with := func(name, value string) string { return body(t, map[string]string{name: value}) }
	const members = "object_type, object_id and owner_id"
	for name, tc := range map[string]struct {
		body   string
		status int
		reason string
	}{
		"no object id":             {with("object_id", ""), 400, members},
		"an object id of null":     {with("object_id", "null"), 400, members},
		"half an object id":        {with("object_id", "7.5"), 400, members},
		"a negative object id":     {with("object_id", "-7"), 400, members},
		"an object id too large":   {with("object_id", "1e40"), 400, members},
		"an object id with a name": {with("object_id", `{"id":7}`), 400, members},
		"no owner":                 {with("owner_id", ""), 400, members},
		"no object type":           {with("object_type", ""), 400, members},
		"an object type of 7":      {with("object_type", "7"), 400, members},
		"no subscription":          {with("subscription_id", ""), 400, "subscription"},
		"a list":                   {"[" + documented + "]", 400, "JSON object"},
		"null":                     {"null", 400, "JSON object"},
		"nothing":                  {"", 400, "JSON object"},
		"half an event":            {documented[:40], 400, "JSON object"},
		"two events":               {documented + documented, 400, "JSON object"},
		"broken gzip":              {"base64:" + packed(t, documented)[:60], 400, "gzip"},
		"gzip's head alone":        {"base64:\x1f\x8b", 400, "gzip"},
		// Reading stops long before its end, which is broken.
		"a bomb with a broken end": {"base64:" + packed(t, documented+strings.Repeat(" ", 20<<20))[:2000], 413, "32 KiB"},
		"a bomb":                   {"base64:" + packed(t, documented+strings.Repeat(" ", 20<<20)), 413, "32 KiB"},
	} {
		call, memory := newReceiver(t)
		store, metrics := memory.Store, memory.Metrics
		res := call("POST", "key", tc.body, nil)
		if res.StatusCode != tc.status || !strings.Contains(res.Body, tc.reason) {
			t.Errorf("%s: status %d, body %s", name, res.StatusCode, res.Body)
		}
		if h := hint(t, store); h.Aspect != "" || metrics.Of(metric.WebhookRejected) != 1 {
			t.Errorf("%s: the hint %+v, %d counted as rejected", name, h, metrics.Of(metric.WebhookRejected))
		}
	}
}

// uncounted fails to count events, at once or only when the time is over.
type uncounted struct {
	gathering.Webhooks
	hangs bool
}

func (u uncounted) CountWebhookEvent(ctx context.Context, _ time.Time) error {
	if u.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.New("boom")
}

func TestAnEventThatCannotBeCountedIsStillStored(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		_, memory := newReceiver(t)
		var log strings.Builder
		ports := memory.Ports(time.Now)
		ports.Webhooks, ports.Log = uncounted{memory.Store, hangs}, slog.New(slog.NewTextHandler(&log, nil))
		serve := api.Mux(ports.Log, handler.WebhookRoutes(ports.Receiver()))
		began := time.Now()
		res, err := serve(t.Context(), api.Request{
			RouteKey: "POST /webhooks/strava/{key}", PathParameters: map[string]string{"key": "key"}, Body: documented,
		})
		// Strava waits for two seconds.
		if took := time.Since(began); err != nil || res.StatusCode != 200 || took > 1500*time.Millisecond {
			t.Errorf("%d, %v after %s", res.StatusCode, err, took)
		}
		if hint(t, memory.Store).Aspect == "" || memory.Metrics.Of(metric.WebhookEvents) != 1 || memory.Waker.Count() != 1 {
			t.Errorf("%d stored, %d woken", memory.Metrics.Of(metric.WebhookEvents), memory.Waker.Count())
		}
		if got := log.String(); !strings.Contains(got, "level=WARN") || strings.Contains(got, "level=ERROR") {
			t.Errorf("logged %s", got)
		}
	}
}
