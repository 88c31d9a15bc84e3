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

// front serves the site and the HTTP API on one origin, as CloudFront does on AWS.
type front struct {
	files         fs.FS
	api, webhooks http.Handler
	log           io.Writer
}

// newFront serves the files of the built site, /v1 and /oauth from the HTTP API
// called apiID at the emulator's address, and /webhooks from the one called
// webhookAPIID. It logs one line per request to log, without query strings: they
// carry OAuth codes.
func newFront(files fs.FS, aws *url.URL, apiID, webhookAPIID string, log io.Writer) http.Handler {
	return &front{files: files, api: newProxy(aws, apiID, log), webhooks: newProxy(aws, webhookAPIID, log), log: log}
}

// newProxy passes requests on to the HTTP API called apiID.
func newProxy(aws *url.URL, apiID string, log io.Writer) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(aws)
			// The emulator tells APIs apart by host name, as AWS does.
			r.Out.Host = apiID + ".execute-api.localhost:" + aws.Port()
			r.Out.URL.RawQuery = r.In.URL.RawQuery // to the letter
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
		ModifyResponse: func(r *http.Response) error {
			site.SetHeaders(r.Header, false)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			fmt.Fprintf(log, "the HTTP API does not answer: %v\n", err)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, `{"title":"Bad Gateway","status":502,"detail":"the local cloud does not answer"}`)
		},
	}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	answer := &answerWatch{ResponseWriter: w, status: http.StatusOK}
	switch {
	case strings.HasPrefix(r.URL.Path, "/webhooks/"):
		f.webhooks.ServeHTTP(answer, r)
	case strings.HasPrefix(r.URL.Path, "/v1/"), strings.HasPrefix(r.URL.Path, "/oauth/"):
		f.api.ServeHTTP(answer, r)
	default:
		f.serveSite(answer, r)
	}
	fmt.Fprintf(f.log, "%s %s %s %d %dms\n", time.Now().UTC().Format("15:04:05"), r.Method, shownPath(r.URL.Path), answer.status, time.Since(began).Milliseconds())
}

// shownPath hides what is a secret by being unguessable: the webhook's key and
// the receipt of an erasure.
func shownPath(path string) string {
	for _, prefix := range []string{"/webhooks/strava/", "/v1/erasures/"} {
		if strings.HasPrefix(path, prefix) {
			return prefix + "…"
		}
	}
	return path
}

func (f *front) serveSite(w http.ResponseWriter, r *http.Request) {
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
	file, err := f.files.Open(name)
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

// answerWatch remembers the status of an answer.
type answerWatch struct {
	http.ResponseWriter
	status int
}

func (a *answerWatch) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] flush the underlying writer.
func (a *answerWatch) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serveFront serves on port of this machine's loopback addresses until ctx ends.
func serveFront(ctx context.Context, port int, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(listener) }()
	// localhost may mean this one too; a machine without IPv6 has none.
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

// startFront starts the front as a process of its own.
func (c *cloud) startFront(ctx context.Context, apiID, webhookAPIID string) (startedNow bool, err error) {
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	return c.ensure(ctx, spec{
		name: "front",
		argv: []string{self, "local", "front", "--port", strconv.Itoa(c.settings.Port),
			"--site", c.site(), "--aws", c.settings.awsLoopback(), "--api-id", apiID, "--webhook-api-id", webhookAPIID},
		env:  c.cleanEnv(),
		port: c.settings.Port,
	}, c.settings.AppURL()+"/")
}
