package strava_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/standin/strava"
)

func TestAnswersAreCompressedForClientsThatAskForIt(t *testing.T) {
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
	// Errors too; an empty body has nothing to compress.
	w.inject(strava.Fault{Kind: strava.Fault502})
	if r := get(list, "gzip"); r.status != 502 || len(gunzipped(t, r.body)) < 100 {
		t.Errorf("%d %q", r.status, r.body)
	}
	if r := get("/api/v3/activities/1", "gzip"); r.status != 404 || r.body != "" || r.header.Get("Content-Encoding") != "" {
		t.Errorf("%d %q", r.status, r.body)
	}
}

// TestOurClientReadsCompressedAnswers goes through the transport of the
// requester: Go's asks for gzip and undoes it, unless a caller sets
// Accept-Encoding.
func TestOurClientReadsCompressedAnswers(t *testing.T) {
	w, server := serveWorld(t, strava.Config{})
	tok := w.connect(athlete, everyScope...)
	asked := ""
	server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Accept-Encoding")
		w.Server.ServeHTTP(rw, r)
	})
	r, err := http.NewRequest(http.MethodGet, server.URL+"/api/v3/athlete/activities", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+tok.Access)
	a, err := httpcall.Do(deadline(t), httpcall.NewClient(), time.Minute, r)
	if err != nil || a.Status != 200 || !json.Valid(a.Body) || len(a.Body) < 1000 {
		t.Errorf("%v %+v", err, a)
	}
	if asked != "gzip" || a.Header.Get("Content-Encoding") != "" || a.Header.Get("X-Readratelimit-Usage") != "1,1" {
		t.Errorf("asked for %q, got %v", asked, a.Header)
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
