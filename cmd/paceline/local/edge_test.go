package local

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/paceline/paceline/pkg/site"
)

// mustServeEdge returns an edge proxy before the HTTP API handler, and its log.
func mustServeEdge(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *bytes.Buffer) {
	t.Helper()
	api := httptest.NewServer(handler)
	t.Cleanup(api.Close)
	return mustServeEdgeTo(t, api.URL)
}

func mustServeEdgeTo(t *testing.T, aws string) (*httptest.Server, *bytes.Buffer) {
	t.Helper()
	address, err := url.Parse(aws)
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	server := httptest.NewServer(newEdgeProxy(fstest.MapFS{
		"index.html":             {Data: []byte("<p>the page</p>")},
		"privacy.html":           {Data: []byte("<p>privacy</p>")},
		"assets/index-abc123.js": {Data: []byte("1")},
	}, address, "0a1b2c3d", "4e5f6a7b", log))
	t.Cleanup(server.Close)
	return server, log
}

func mustDo(t *testing.T, request *http.Request) (*http.Response, string) {
	t.Helper()
	client := &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func mustRequest(t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestEdgeForwardsTheRequestUnchanged(t *testing.T) {
	var got *http.Request
	var gotBody string
	server, _ := mustServeEdge(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, gotBody = r, string(body)
		w.Header().Add("Set-Cookie", "paceline_session=s; Path=/; HttpOnly; SameSite=Lax")
		w.Header().Add("Set-Cookie", "paceline_state=; Path=/oauth; Max-Age=0")
		w.Header().Set("Location", "/?error=state")
		w.WriteHeader(http.StatusFound)
	})
	request := mustRequest(t, http.MethodPost, server.URL+"/oauth/a%2Fb?scope=read,activity:read;x&state=%20", "body")
	request.Header.Set("Cookie", "paceline_session=old; other=1")
	request.Header.Set("X-Forwarded-For", "192.0.2.7")
	response, _ := mustDo(t, request)

	if got.Host[:strings.Index(got.Host, ":")] != "0a1b2c3d.execute-api.localhost" {
		t.Errorf("host is %s", got.Host)
	}
	if got.Method != http.MethodPost || got.URL.EscapedPath() != "/oauth/a%2Fb" || gotBody != "body" {
		t.Errorf("got %s %s %q", got.Method, got.URL.EscapedPath(), gotBody)
	}
	if got.URL.RawQuery != "scope=read,activity:read;x&state=%20" {
		t.Errorf("query is %s", got.URL.RawQuery)
	}
	if got.Header.Get("Cookie") != "paceline_session=old; other=1" {
		t.Errorf("cookie is %s", got.Header.Get("Cookie"))
	}
	if got.Header.Get("X-Forwarded-For") != "192.0.2.7, 127.0.0.1" || got.Header.Get("X-Forwarded-Proto") != "http" ||
		got.Header.Get("X-Forwarded-Host") != request.URL.Host {
		t.Errorf("forwarded headers are %v", got.Header)
	}

	if response.StatusCode != http.StatusFound || response.Header.Get("Location") != "/?error=state" {
		t.Errorf("answered %d to %s", response.StatusCode, response.Header.Get("Location"))
	}
	cookies := response.Header.Values("Set-Cookie")
	if len(cookies) != 2 || cookies[0] != "paceline_session=s; Path=/; HttpOnly; SameSite=Lax" || cookies[1] != "paceline_state=; Path=/oauth; Max-Age=0" {
		t.Errorf("cookies are %q", cookies)
	}
	if got := response.Header.Values("Content-Security-Policy"); len(got) != 1 || got[0] != site.ContentSecurityPolicy {
		t.Errorf("the API's answer has the policy %q", got)
	}
}

func TestEdgeLogsNoCodesKeysAndReceipts(t *testing.T) {
	server, log := mustServeEdge(t, func(http.ResponseWriter, *http.Request) {})
	for _, path := range []string{
		"/oauth/callback?code=SECRET&state=SECRET",
		"/?error=SECRET",
		"/webhooks/strava/SECRET?hub.verify_token=SECRET",
		"/v1/erasures/SECRET",
	} {
		mustDo(t, mustRequest(t, http.MethodGet, server.URL+path, ""))
	}
	broken, brokenLog := mustServeEdgeTo(t, "http://"+mustClosedAddress(t))
	response, body := mustDo(t, mustRequest(t, http.MethodGet, broken.URL+"/oauth/callback?code=SECRET", ""))
	if response.StatusCode != http.StatusBadGateway || response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("without an API it answers %d %s", response.StatusCode, response.Header.Get("Content-Type"))
	}
	server.Close()
	broken.Close()
	for _, text := range []string{log.String(), brokenLog.String(), body} {
		if strings.Contains(text, "SECRET") {
			t.Errorf("a secret is in %q", text)
		}
	}
	for _, line := range []string{"GET /oauth/callback 200", "GET / 200", "GET /webhooks/strava/… 200", "GET /v1/erasures/… 200"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("%q is not in the log:\n%s", line, log)
		}
	}
}

func mustClosedAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestEdgeServesTheSite(t *testing.T) {
	server, _ := mustServeEdge(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the API was asked for %s", r.URL.Path) })
	for _, c := range []struct {
		method, path string
		status       int
		body, cache  string
	}{
		{http.MethodGet, "/", http.StatusOK, "<p>the page</p>", "no-cache"},
		{http.MethodGet, "/?error=access_denied", http.StatusOK, "<p>the page</p>", "no-cache"},
		{http.MethodHead, "/", http.StatusOK, "", "no-cache"},
		{http.MethodGet, "/privacy.html", http.StatusOK, "<p>privacy</p>", "no-cache"},
		{http.MethodGet, "/assets/index-abc123.js", http.StatusOK, "1", "public, max-age=31536000, immutable"},
		{http.MethodGet, "/assets/index-gone.js", http.StatusNotFound, "404 page not found\n", ""},
		{http.MethodGet, "/assets", http.StatusNotFound, "404 page not found\n", ""},
		{http.MethodGet, "/v1", http.StatusNotFound, "404 page not found\n", ""},
		{http.MethodGet, "/../settings.go", http.StatusNotFound, "404 page not found\n", ""},
		{http.MethodPost, "/", http.StatusMethodNotAllowed, "method not allowed\n", ""},
	} {
		response, body := mustDo(t, mustRequest(t, c.method, server.URL+c.path, ""))
		if response.StatusCode != c.status || body != c.body {
			t.Errorf("%s %s: %d %q", c.method, c.path, response.StatusCode, body)
		}
		if got := response.Header.Get("Cache-Control"); got != c.cache {
			t.Errorf("%s %s: Cache-Control is %q", c.method, c.path, got)
		}
		if got := response.Header.Get("Content-Security-Policy"); got != site.ContentSecurityPolicy {
			t.Errorf("%s %s: Content-Security-Policy is %q", c.method, c.path, got)
		}
	}
}

func TestEdgeStreamsResponses(t *testing.T) {
	more := make(chan struct{})
	server, _ := mustServeEdge(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
		}
	})
	response, err := http.DefaultClient.Do(mustRequest(t, http.MethodGet, server.URL+"/v1/me/sync", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "first" {
		t.Errorf("read %q: %v", first, err)
	}
	close(more)
}

func TestServeEdgeEndsWithItsContext(t *testing.T) {
	port, err := freePort(22050)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serveEdge(ctx, port, http.NotFoundHandler()) }()
	if !waitUntil(t.Context(), patience, func() bool { return !portFree(port) }) {
		t.Fatal("it does not listen")
	}
	if err := checkPort(port, "PACELINE_PORT"); err == nil || !strings.Contains(err.Error(), "is taken; free it or set PACELINE_PORT") {
		t.Errorf("a taken port: %v", err)
	}
	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if !portFree(port) {
		t.Error("the port is still taken")
	}
}
