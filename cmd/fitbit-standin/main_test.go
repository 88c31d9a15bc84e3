package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// running is a stand-in in this process, with the line that it printed.
type running struct {
	t       *testing.T
	line    []byte
	stop    func()
	stopped chan error
	Site    string `json:"site"`
	API     string `json:"api"`
	Control string `json:"control"`
	ID      string `json:"client_id"`
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, stop: cancel, stopped: make(chan error, 1)}
	reader, writer := io.Pipe()
	go func() {
		err := serve(ctx, append([]string{"--addr", "localhost:0"}, args...), writer)
		_ = writer.CloseWithError(io.EOF)
		r.stopped <- err
	}()
	t.Cleanup(cancel)
	line := json.NewDecoder(reader)
	var raw json.RawMessage
	if err := line.Decode(&raw); err != nil {
		t.Fatalf("it ended: %v", <-r.stopped)
	}
	r.line = raw
	if err := json.Unmarshal(raw, r); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	return r
}

func (r *running) text(method, address, body string) string {
	r.t.Helper()
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func TestServePrintsItsURLsAndStops(t *testing.T) {
	t.Setenv("FITBIT_CLIENT_ID", "22942C")
	t.Setenv("FITBIT_CLIENT_SECRET", "hush-hush")
	r := start(t)
	if !strings.HasPrefix(r.Site, "http://localhost:") || r.API != r.Site || r.Control != r.Site+"/control" || r.ID != "22942C" {
		t.Errorf("it printed %s", r.line)
	}
	if strings.Contains(string(r.line), "hush-hush") {
		t.Error("the secret was printed")
	}
	if secrets := r.text(http.MethodGet, r.Control+"/secrets", ""); !strings.Contains(secrets, "hush-hush") {
		t.Errorf("secrets %s", secrets)
	}
	page := r.text(http.MethodGet, r.Site+"/oauth2/authorize?"+url.Values{
		"client_id": {"22942C"}, "response_type": {"code"}, "redirect_uri": {"http://localhost/callback"}, "scope": {"activity"},
		"code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
	}.Encode(), "")
	if !strings.Contains(page, "Ada Kowalska") {
		t.Errorf("the consent page is %s", page)
	}
	r.stop()
	if err := <-r.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if _, err := http.Get(r.Control); err == nil { //nolint:bodyclose // there is no response
		t.Error("it still serves")
	}
}

func TestServeEndsARequestThatHangs(t *testing.T) {
	r := start(t)
	r.text(http.MethodPost, r.Control+"/faults", `{"kind":"hang"}`)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := http.Get(r.API + "/1/user/-/profile.json"); err == nil {
			res.Body.Close()
		}
	}()
	for strings.Contains(r.text(http.MethodGet, r.Control+"/faults", ""), "hang") { // until the request hangs
		time.Sleep(time.Millisecond)
	}
	r.stop()
	<-answered
	if err := <-r.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestTwoProcessesIssueDifferentSecrets(t *testing.T) {
	t.Setenv("FITBIT_CLIENT_SECRET", "")
	a, b := start(t), start(t)
	if a.text(http.MethodGet, a.Control+"/secrets", "") == b.text(http.MethodGet, b.Control+"/secrets", "") {
		t.Error("they issue the same secrets")
	}
}

func TestServeRefusesBadArguments(t *testing.T) {
	for _, args := range [][]string{{"--addr", "nowhere"}, {"--hourly-limit", "0"}, {"ctl"}, {"--people", "3"}} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // ends a stand-in that starts
		if err := serve(ctx, args, io.Discard); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}
