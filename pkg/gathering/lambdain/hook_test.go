package lambdain_test

import (
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/lambdain"
	"github.com/paceline/paceline/pkg/kit/httpapi"
	"github.com/paceline/paceline/pkg/kit/secret"
)

func newHook(t *testing.T) (func(route, key, body string, query map[string]string) httpapi.Response, *gatheringtest.Queue, *eventtest.Bus) {
	bus := &eventtest.Bus{}
	store, queue := gatheringtest.NewStore(), gatheringtest.NewQueue(time.Now)
	if err := store.SaveWebhook(t.Context(), gathering.Webhook{
		CallbackKeySHA256: secret.New("key").SHA256(), VerifyTokenSHA256: secret.New("token").SHA256(), SubscriptionID: 120475, Version: 1,
	}); err != nil {
		t.Fatal(err)
	}
	serve := httpapi.Mux(slog.New(slog.NewTextHandler(io.Discard, nil)), lambdain.HookRoutes(&gathering.Hook{
		Webhooks: store, Queue: queue, Publisher: bus, Minter: event.Minter{Now: time.Now, NewID: func() string { return "id" }},
	}))
	return func(route, key, body string, query map[string]string) httpapi.Response {
		t.Helper()
		req := httpapi.Request{RouteKey: route + " /webhooks/strava/{key}", PathParameters: map[string]string{"key": key}, Body: body, QueryStringParameters: query}
		if strings.HasPrefix(body, "base64:") {
			req.Body, req.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(body[7:])), true
		}
		res, err := serve(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}, queue, bus
}

func TestHandshakeEchoesTheChallenge(t *testing.T) {
	call, _, _ := newHook(t)
	q := func(mode, token, challenge string) map[string]string {
		return map[string]string{"hub.mode": mode, "hub.verify_token": token, "hub.challenge": challenge}
	}
	res := call("GET", "key", "", q("subscribe", "token", "15f7d1a91c1f40f8a748fd134752feb3"))
	if res.StatusCode != 200 || res.Headers["Content-Type"] != "application/json" || res.Body != `{"hub.challenge":"15f7d1a91c1f40f8a748fd134752feb3"}` {
		t.Errorf("%+v", res)
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
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// documented is the example in Strava's webhook documentation.
const documented = `{"aspect_type":"update","event_time":1516126040,"object_id":1360128428,"object_type":"activity","owner_id":134815,"subscription_id":120475,"updates":{"title":"Messy"}}`

func TestEventsAreTakenIn(t *testing.T) {
	deauthorization := func(value string) string {
		return `{"aspect_type":"update","event_time":1,"object_id":134815,"object_type":"athlete","owner_id":134815,"subscription_id":120475,"updates":{"authorized":` + value + `}}`
	}
	for name, tc := range map[string]struct {
		key, body string
		status    int
		kind      gathering.Kind
		reported  bool
	}{
		"the documented example":         {"key", documented, 200, gathering.KindActivity, false},
		"in base64":                      {"key", "base64:" + documented, 200, gathering.KindActivity, false},
		"no updates":                     {"key", strings.Replace(documented, `,"updates":{"title":"Messy"}`, "", 1), 200, gathering.KindActivity, false},
		"a boolean among the updates":    {"key", strings.Replace(documented, `"Messy"`, "true", 1), 200, gathering.KindActivity, false},
		"a deauthorization":              {"key", deauthorization(`"false"`), 200, "", true},
		"a deauthorization by a boolean": {"key", deauthorization(`false`), 200, "", true},
		"still authorized":               {"key", deauthorization(`"true"`), 200, "", false},
		"a wrong key":                    {"x", documented, 404, "", false},
		"another subscription":           {"key", strings.Replace(documented, "120475", "120476", 1), 400, "", false},
		"not JSON":                       {"key", "hello", 400, "", false},
		"an id that is no number":        {"key", strings.Replace(documented, "1360128428", `"x"`, 1), 400, "", false},
		"a large body":                   {"key", documented + strings.Repeat(" ", 32<<10), 413, "", false},
		"the largest body":               {"key", documented + strings.Repeat(" ", 32<<10-len(documented)), 200, gathering.KindActivity, false},
	} {
		call, queue, bus := newHook(t)
		if res := call("POST", tc.key, tc.body, nil); res.StatusCode != tc.status {
			t.Errorf("%s: %d %s", name, res.StatusCode, res.Body)
		}
		if job, _ := queue.Take(); job.Kind != tc.kind {
			t.Errorf("%s: queued %+v", name, job)
		}
		if reported := len(bus.Events()) == 1; reported != tc.reported {
			t.Errorf("%s: reported %v", name, reported)
		}
	}
}

func TestWhatCannotBeStoredIsNotAcknowledged(t *testing.T) {
	call, queue, _ := newHook(t)
	queue.Fail = errors.New("boom")
	if res := call("POST", "key", documented, nil); res.StatusCode < 500 {
		t.Errorf("status %d", res.StatusCode)
	}
}
