package strava_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/paceline/paceline/standin/strava"
)

func TestResponsesAreCompressedForClientsThatAcceptIt(t *testing.T) {
	w := newWorld(t, strava.Config{})
	tok := w.connect(athlete, everyScope...)
	get := func(path, accept string) reply {
		r := w.request(http.MethodGet, path, tok.Access, nil)
		if accept != "" {
			r.Header.Set("Accept-Encoding", accept)
		}
		return w.do(r)
	}
	const list = "/api/v3/athlete/activities"
	plain := get(list, "")
	for accept, compress := range map[string]bool{
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip; q=0.0, br": false, "x-gzip": false,
		"gzip": true, "GZIP": true, "br, gzip": true, "deflate, gzip;q=0.5": true, "gzip, deflate, br": true,
	} {
		r := get(list, accept)
		if r.header.Get("Vary") != "Accept-Encoding" || rate(r.header) == rate(plain.header) {
			t.Errorf("%q: headers %v", accept, r.header)
		}
		if !compress {
			r.expect(t, 200, plain.body)
			continue
		}
		if r.header.Get("Content-Encoding") != "gzip" || gunzipped(t, r.body) != plain.body {
			t.Errorf("%q: %s of %d bytes", accept, r.header.Get("Content-Encoding"), len(r.body))
		}
	}
	// Errors are compressed, too; an empty body is not.
	w.inject(strava.Fault{Kind: strava.Fault502})
	if r := get(list, "gzip"); r.status != 502 || len(gunzipped(t, r.body)) < 100 {
		t.Errorf("%d %q", r.status, r.body)
	}
	if r := get("/api/v3/activities/1", "gzip"); r.status != 404 || r.body != "" || r.header.Get("Content-Encoding") != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
}

// TestGoClientsReadCompressedResponses uses Go's transport, which requests gzip
// and decompresses, unless the caller sets Accept-Encoding.
func TestGoClientsReadCompressedResponses(t *testing.T) {
	w, server := serveWorld(t, strava.Config{})
	tok := w.connect(athlete, everyScope...)
	accepted := ""
	server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		accepted = r.Header.Get("Accept-Encoding")
		w.Server.ServeHTTP(rw, r)
	})
	r, err := http.NewRequest(http.MethodGet, server.URL+"/api/v3/athlete/activities", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tok.Access)
	res, err := http.DefaultClient.Do(r.WithContext(deadline(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !json.Valid(body) || len(body) < 1000 {
		t.Errorf("%v %s %s", err, res.Status, body)
	}
	if accepted != "gzip" || res.Header.Get("Content-Encoding") != "" || res.Header.Get("X-Readratelimit-Usage") != "1,1" {
		t.Errorf("accepted %q, got %v", accepted, res.Header)
	}
}

func gunzipped(t *testing.T, body string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}
