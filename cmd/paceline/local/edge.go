package local

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/site"
)

// edge is the process name of the edge proxy.
const edge = "edge"

// edgeProxy serves the site and the HTTP API on one origin, as CloudFront does on
// AWS.
type edgeProxy struct {
	files         fs.FS
	api, webhooks http.Handler
	log           io.Writer
}

// newEdgeProxy returns a handler that serves the files of the built site, /v1 and
// /oauth from the HTTP API apiID at the emulator's address, and /webhooks from
// webhookAPIID. It writes one line a request to log, without query strings, which
// carry OAuth codes.
func newEdgeProxy(files fs.FS, aws *url.URL, apiID, webhookAPIID string, log io.Writer) http.Handler {
	return &edgeProxy{files: files, api: newProxy(aws, apiID, log), webhooks: newProxy(aws, webhookAPIID, log), log: log}
}

// newProxy returns a handler that forwards requests to the HTTP API apiID.
func newProxy(aws *url.URL, apiID string, log io.Writer) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(aws)
			// The emulator finds the API by its host name, as AWS does.
			r.Out.Host = apiID + ".execute-api.localhost:" + aws.Port()
			r.Out.URL.RawQuery = r.In.URL.RawQuery // unchanged, even if malformed
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
		ModifyResponse: func(r *http.Response) error {
			site.SetHeaders(r.Header, false)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			fmt.Fprintf(log, "the HTTP API is unreachable: %v\n", err)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, `{"title":"Bad Gateway","status":502,"detail":"the local cloud is unreachable"}`)
		},
	}
}

func (p *edgeProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	response := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	switch {
	case strings.HasPrefix(r.URL.Path, "/webhooks/"):
		p.webhooks.ServeHTTP(response, r)
	case strings.HasPrefix(r.URL.Path, "/v1/"), strings.HasPrefix(r.URL.Path, "/oauth/"):
		p.api.ServeHTTP(response, r)
	default:
		p.serveSite(response, r)
	}
	fmt.Fprintf(p.log, "%s %s %s %d %dms\n", time.Now().UTC().Format("15:04:05"), r.Method, redactedPath(r.URL.Path), response.status, time.Since(began).Milliseconds())
}

// redactedPath hides the secrets in a path: the webhook's key and the receipt of
// an erasure.
func redactedPath(path string) string {
	for _, prefix := range []string{"/webhooks/strava/", "/v1/erasures/"} {
		if strings.HasPrefix(path, prefix) {
			return prefix + "…"
		}
	}
	return path
}

func (p *edgeProxy) serveSite(w http.ResponseWriter, r *http.Request) {
	site.SetHeaders(w.Header(), false)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	file, err := p.files.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	content, seeks := file.(io.ReadSeeker)
	if err != nil || info.IsDir() || !seeks {
		http.NotFound(w, r)
		return
	}
	// Vite puts a digest into the names of everything in assets.
	if strings.HasPrefix(name, "assets/") {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, name, info.ModTime(), content)
}

// statusRecorder records the status of a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] flush the underlying writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// serveEdge serves handler on port of the loopback addresses until ctx ends.
func serveEdge(ctx context.Context, port int, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	// localhost may resolve to this address, which a machine without IPv6 lacks.
	if listener6, err := net.Listen("tcp", net.JoinHostPort("::1", strconv.Itoa(port))); err == nil {
		go func() { failed <- server.Serve(listener6) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	}
}

// startEdge starts the edge proxy as a process of its own.
func (c *cloud) startEdge(ctx context.Context, apiID, webhookAPIID string) (startedNow bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	return c.ensure(ctx, spec{
		name: edge,
		argv: []string{self, "local", "edge", "--port", strconv.Itoa(c.settings.Port),
			"--site", c.site(), "--aws", c.settings.awsLoopback(), "--api-id", apiID, "--webhook-api-id", webhookAPIID},
		env:  c.cleanEnv(),
		port: c.settings.Port,
	}, c.settings.AppURL()+"/")
}
