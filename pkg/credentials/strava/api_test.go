package strava_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/credentials/strava"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
	"github.com/paceline/paceline/pkg/kit/secret"
)

func TestACallThatMayHaveReachedStravaCounts(t *testing.T) {
	serve := func(h http.HandlerFunc) string {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return server.URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tc := range map[string]struct {
		base string
		sent bool
		kind fault.Kind // Empty for an answer.
	}{
		"an answer":        {serve(func(http.ResponseWriter, *http.Request) {}), true, ""},
		"an outage":        {serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }), true, ""},
		"a reset":          {serve(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), true, fault.Transient},
		"no server":        {closed.URL, false, fault.Transient},
		"a malformed base": {"http://strava\x7f", false, fault.Permanent},
	} {
		answer, err := strava.NewAPI(httpcall.NewClient(), tc.base).Get(t.Context(), secret.New("a-token"), "/athlete", nil)
		if answer.Sent != tc.sent || (tc.kind == "") != (err == nil) || err != nil && fault.Of(err) != tc.kind {
			t.Errorf("%s: sent %v, %v", name, answer.Sent, err)
		}
		if err != nil && strings.Contains(err.Error(), "a-token") {
			t.Errorf("%s: the error gives the token away", name)
		}
	}
}
