package strava

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/standin"
)

// endpoint is one of Strava's URLs.
type endpoint struct {
	name string
	// identify finds the caller, before any fault, and may refine the name.
	identify func(*call)
	// meter counts the call against the rate limits and sets its rate headers. It
	// is nil where Strava sends none. It takes the server's lock itself.
	meter func(*call)
	// serve returns the response. It takes the server's lock itself.
	serve func(*call) response
}

// call is one request to Strava.
type call struct {
	*http.Request
	endpoint string
	athlete  int64       // 0 when unknown
	params   url.Values  // of the body, and of the query where Strava reads it
	fault    Fault       // Kind is "" when there is none
	rate     http.Header // the rate headers of the response
	exceeded string      // the limit that the call exceeds, or ""
}

// page returns the page number of a list of activities; 0 for any other call.
func (c *call) page() int {
	if c.endpoint != EndpointActivities {
		return 0
	}
	page, err := strconv.Atoi(cmp.Or(c.URL.Query().Get("page"), "1"))
	if err != nil {
		return 0 // listActivities refuses the call
	}
	return page
}

// activity returns the id of the activity of a single read; 0 for any other call.
func (c *call) activity() int64 {
	if c.endpoint != EndpointActivity {
		return 0
	}
	return pathID(c.Request, "id")
}

// route serves e under each of the patterns.
func (s *Server) route(e endpoint, patterns ...string) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, endpoint: e.name}
		e.identify(c)
		res, sent := s.count(c, e)
		if !sent {
			disconnect(w, c.fault.Kind == FaultReset)
			return
		}
		compress(r, res).Write(w)
	}
	for _, p := range patterns {
		s.mux.HandleFunc(p, handler)
	}
}

// count serves a call and counts it. A client that has read the response finds
// the call counted.
func (s *Server) count(c *call, e endpoint) (res response, sent bool) {
	if c.endpoint == EndpointRefresh && c.athlete != 0 {
		defer s.calls.StartRefresh(c.athlete)()
	}
	res, sent = s.respond(c, e)
	status := res.Status
	if c.fault.Kind == FaultDrop {
		status = 0
	}
	s.calls.Count(c.endpoint, c.athlete, status)
	return res, sent
}

// respond serves a call with its fault, if it has one. sent is false when the
// client gets no response.
func (s *Server) respond(c *call, e endpoint) (res response, sent bool) {
	c.fault = s.takeFault(c)
	standin.Delay(c.Context(), s.running, time.Duration(c.fault.Delay))
	kind := faultKinds[c.fault.Kind]
	if e.meter != nil && (!kind.edge || c.fault.RateHeaders == RateHeadersOn) {
		e.meter(c)
	}
	switch {
	case c.fault.Kind == FaultReset:
		return response{}, false
	case c.fault.Kind == FaultHang:
		standin.Hang(c.Context(), s.running)
		return response{}, false
	case kind.edge:
		res = kind.response
	default:
		res = e.serve(c)
	}
	switch c.fault.Kind {
	case FaultDrop:
		return res, false
	case Fault200Truncated:
		res.Body = res.Body[:len(res.Body)/2]
	}
	if c.fault.RateHeaders != RateHeadersOff {
		res = res.With(c.rate)
	}
	return res, true
}

// compress compresses the body if the client accepts it, as Strava's content
// delivery network does.
func compress(r *http.Request, res response) response {
	encoding := http.Header{"Vary": {"Accept-Encoding"}}
	if len(res.Body) > 0 && acceptsGzip(r) {
		encoding.Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(res.Body) // a bytes.Buffer cannot fail
		_ = z.Close()
		res.Body = b.Bytes()
	}
	return res.With(encoding)
}

// acceptsGzip reads the forms of Accept-Encoding that clients use: a list of
// names, each with an optional quality. A quality of 0 refuses the encoding.
func acceptsGzip(r *http.Request) bool {
	for _, coding := range strings.Split(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";q=")
		if q, err := strconv.ParseFloat(quality, 64); strings.EqualFold(name, "gzip") && (err != nil || q > 0) {
			return true
		}
	}
	return false
}

// disconnect ends the connection without a response.
func disconnect(w http.ResponseWriter, reset bool) {
	if h, ok := w.(http.Hijacker); ok && reset {
		if conn, _, err := h.Hijack(); err == nil {
			if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
				_ = tcp.SetLinger(0) // RST in place of FIN
			}
			_ = conn.Close()
			return
		}
	}
	panic(http.ErrAbortHandler)
}

// readParams returns the parameters of the body, which is a form or JSON: Strava
// accepts both. With withQuery it adds the query's where the body has none.
func readParams(r *http.Request, withQuery bool) url.Values {
	params := url.Values{}
	if withQuery {
		params = r.URL.Query()
	}
	const limit = 64 << 10
	r.Body = http.MaxBytesReader(nil, r.Body, limit)
	switch contentType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); contentType {
	case "application/json":
		var fields map[string]any
		d := json.NewDecoder(r.Body)
		d.UseNumber()
		if d.Decode(&fields) == nil {
			for name, v := range fields {
				params.Set(name, fmt.Sprint(v))
			}
		}
	case "multipart/form-data":
		_ = r.ParseMultipartForm(limit) // a parameter that cannot be read is missing
		maps.Copy(params, r.PostForm)
	default:
		// ParseForm ignores the body of a DELETE, where Strava reads it.
		method := r.Method
		r.Method = http.MethodPost
		_ = r.ParseForm()
		r.Method = method
		maps.Copy(params, r.PostForm)
	}
	return params
}
