package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// running is a stand-in in this process, with its output.
type running struct {
	t       *testing.T
	out     *lines
	base    string
	stopped func() error
	API     string `json:"api"`
	OAuth   string `json:"oauth"`
	Push    string `json:"push"`
	ID      int64  `json:"client_id"`
}

// lines collects output and lets a reader wait for the first line.
type lines struct {
	bytes.Buffer
	first chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	defer func() {
		select {
		case <-l.first:
		default:
			close(l.first)
		}
	}()
	return l.Buffer.Write(b)
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, out: &lines{first: make(chan struct{})}}
	result := make(chan error, 1)
	go func() { result <- serve(ctx, append([]string{"--addr", "localhost:0"}, args...), r.out) }()
	var stopped error
	r.stopped = func() error {
		if ctx.Err() == nil {
			cancel()
			stopped = <-result
		}
		return stopped
	}
	select {
	case <-r.out.first:
	case err := <-result:
		t.Fatalf("it ended: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("it is not ready after 10 s")
	}
	t.Cleanup(func() { _ = r.stopped() })
	if err := json.Unmarshal(r.out.Bytes(), r); err != nil {
		t.Fatal(err)
	}
	r.base = strings.TrimSuffix(r.API, "/api/v3")
	return r
}

func (r *running) ctl(args ...string) string {
	r.t.Helper()
	var out bytes.Buffer
	if err := control(context.Background(), append([]string{"--url", r.base}, args...), &out); err != nil {
		r.t.Fatalf("ctl %v: %v", args, err)
	}
	return out.String()
}

func TestServePrintsItsURLsAndStops(t *testing.T) {
	t.Setenv("STRAVA_HISTORY", "")
	t.Setenv("STRAVA_CLIENT_ID", "77")
	t.Setenv("STRAVA_CLIENT_SECRET", "hush-hush")
	r := start(t, "--rotation", "never", "--read-limit", "7,70", "--overall-limit", "8,80", "--capacity", "3", "--lenient")
	if !strings.HasPrefix(r.API, "http://localhost:") || r.OAuth != r.base+"/oauth" || r.Push != r.base+"/api/v3/push_subscriptions" || r.ID != 77 {
		t.Errorf("it printed %s", r.out)
	}
	for _, want := range []string{`"athletes":10`, `"rotation":"never"`, `"read_limit":[7,70]`, `"overall_limit":[8,80]`, `"capacity":3`, `"lenient":true`, `"retry_interval":"15s"`} {
		if status := r.ctl("status"); !strings.Contains(status, want) {
			t.Errorf("no %s in %s", want, status)
		}
	}

	// An athlete consents without a browser and connects.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(r.OAuth + "/authorize?client_id=77&redirect_uri=http://localhost/cb&response_type=code&scope=read&as_athlete=80000001")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	res, err = http.PostForm(r.OAuth+"/token", url.Values{
		"client_id": {"77"}, "client_secret": {"hush-hush"}, "grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
	})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("token: %s", res.Status)
	}

	secrets := r.ctl("secrets")
	if err := r.stopped(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if strings.Count(r.out.String(), "\n") != 1 {
		t.Errorf("it printed more than one line: %s", r.out)
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(secrets), &all); err != nil || !strings.Contains(secrets, "hush-hush") {
		t.Fatalf("secrets %s", secrets)
	}
	if strings.Contains(r.out.String(), "hush-hush") || strings.Contains(r.out.String(), back.Query().Get("code")) {
		t.Error("a secret was printed")
	}
}

func TestServeEndsARequestThatHangs(t *testing.T) {
	t.Setenv("STRAVA_HISTORY", "")
	r := start(t)
	r.ctl("fault", "kind=hang")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := http.Get(r.API + "/athlete"); err == nil {
			res.Body.Close()
		}
	}()
	for strings.Contains(r.ctl("faults"), "hang") { // until the request hangs
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	if err := r.stopped(); err != nil || time.Since(began) > time.Second {
		t.Errorf("stopping took %s: %v", time.Since(began), err)
	}
	<-answered
}

func TestServeLoadsAHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.json")
	history := `[{"id":9,"athlete":{"id":4242},"name":"x","start_date":"2026-01-01T00:00:00Z"}]`
	if err := os.WriteFile(file, []byte(history), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STRAVA_HISTORY", file)
	r := start(t)
	if list := r.ctl("athletes"); !strings.Contains(list, `"id":4242`) || strings.Contains(list, "80000001") {
		t.Errorf("athletes %s", list)
	}
	both := start(t, "--athletes", "2", "--seed", "3")
	if list := both.ctl("athletes"); !strings.Contains(list, `"id":4242`) || !strings.Contains(list, `"id":80000002`) {
		t.Errorf("athletes %s", list)
	}
}

func TestControlCommandsCallTheAPI(t *testing.T) {
	t.Setenv("STRAVA_HISTORY", "")
	r := start(t)
	var added struct {
		ID json.Number `json:"id"`
	}
	out := r.ctl("new-activity", "--athlete", "80000001", "name=Evening Ride", "distance=1500.5", "visibility=only_me")
	if err := json.Unmarshal([]byte(out), &added); err != nil {
		t.Fatal(err)
	}
	one := []string{"--athlete", "80000001", "--activity", added.ID.String()}
	r.ctl(append(append([]string{"edit"}, one...), `name="quoted"`, "visibility=everyone")...)
	r.ctl(append(append([]string{"set-fields"}, one...), "kudos_count=3.0")...)
	list := r.ctl("activities", "--athlete", "80000001")
	for _, want := range []string{`"name":"quoted"`, `"distance":1500.5`, `"visibility":"everyone"`, `"kudos_count":3.0`} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s", want)
		}
	}
	r.ctl(append([]string{"delete"}, one...)...)
	if strings.Contains(r.ctl("activities", "--athlete", "80000001"), added.ID.String()) {
		t.Error("it is not deleted")
	}
	if got := r.ctl("settings", "rotation=random", "read_limit=[10,100]"); !strings.Contains(got, `"rotation":"random"`) || !strings.Contains(got, `[10,100]`) {
		t.Errorf("settings %s", got)
	}
	for _, args := range [][]string{{"fly"}, {}, {"edit", "oops"}, {"deauthorize", "--athlete", "1"}} {
		if err := control(t.Context(), append([]string{"--url", r.base}, args...), io.Discard); err == nil {
			t.Errorf("ctl %v succeeded", args)
		}
	}
}

func TestServeRefusesBadArguments(t *testing.T) {
	t.Setenv("STRAVA_HISTORY", "")
	for _, args := range [][]string{
		{"--rotation", "sometimes"}, {"--read-limit", "many"}, {"--capacity", "-1"}, {"--history", "/does/not/exist"}, {"--addr", "nowhere"},
	} {
		if err := serve(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
