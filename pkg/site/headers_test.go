package site_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/site"
)

func TestSetHeaders(t *testing.T) {
	for _, https := range []bool{true, false} {
		h := http.Header{}
		site.SetHeaders(h, https)
		if got := h.Get("Strict-Transport-Security") != ""; got != https {
			t.Errorf("Strict-Transport-Security over HTTPS (%t): %t", https, got)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("headers: %v", h)
		}
	}
}

func TestAnAnswerKeepsItsOwnPolicy(t *testing.T) {
	h := http.Header{"Content-Security-Policy": {"default-src 'none'"}}
	site.SetHeaders(h, true)
	if got := h.Values("Content-Security-Policy"); len(got) != 1 || got[0] != "default-src 'none'" {
		t.Errorf("the policy is %q", got)
	}
}

func TestContentSecurityPolicyLetsNoScriptIn(t *testing.T) {
	directives := map[string]string{}
	for d := range strings.SplitSeq(site.ContentSecurityPolicy, "; ") {
		name, sources, _ := strings.Cut(d, " ")
		directives[name] = sources
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "connect-src": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'",
		"img-src": "'self' data: https:",
	} {
		if directives[name] != want {
			t.Errorf("%s is %q, not %q", name, directives[name], want)
		}
	}
	if strings.Contains(site.ContentSecurityPolicy, "unsafe-") {
		t.Errorf("the policy lets something unsafe in: %s", site.ContentSecurityPolicy)
	}
}
