package standin

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
)

// Response is the response of a stand-in to one request.
type Response struct {
	Status      int
	Header      http.Header // nil when there are no other headers
	ContentType string
	Body        []byte
}

// JSON returns a response with v as its body. It panics if v cannot be encoded.
func JSON(status int, contentType string, v any) Response {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // the stand-ins encode their own types only
	}
	return Response{Status: status, ContentType: contentType, Body: body}
}

// HTML returns a response with a page as its body.
func HTML(status int, page string) Response {
	return Response{Status: status, ContentType: "text/html; charset=utf-8", Body: []byte(page)}
}

// Redirect returns a redirect to u with query in place of its own query.
func Redirect(u url.URL, query url.Values) Response {
	u.RawQuery = query.Encode()
	return Response{Status: http.StatusFound, Header: http.Header{"Location": {u.String()}}}
}

// With returns r with the headers added to its own.
func (r Response) With(header http.Header) Response {
	all := http.Header{}
	maps.Copy(all, r.Header)
	maps.Copy(all, header)
	r.Header = all
	return r
}

// Write sends r.
func (r Response) Write(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.Header)
	if r.ContentType != "" {
		w.Header().Set("Content-Type", r.ContentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(r.Body)))
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body) // the client may have disconnected
}
