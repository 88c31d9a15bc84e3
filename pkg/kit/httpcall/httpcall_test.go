package httpcall_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
)

// serve answers on a port of its own until the test ends.
func serve(t *testing.T, h http.HandlerFunc) string {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

func call(ctx context.Context, t *testing.T, timeout time.Duration, target string) (httpcall.Answer, error) {
	t.Helper()
	req, err := httpcall.Form(http.MethodPost, target, url.Values{"token": {"a-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	return httpcall.Do(ctx, httpcall.NewClient(), timeout, req)
}

func TestAnswersComeWhole(t *testing.T) {
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", r.Header.Get("Content-Type")+" "+r.PostFormValue("token"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("body"))
	})
	a, err := call(t.Context(), t, time.Minute, target)
	if err != nil || a.Status != http.StatusTeapot || string(a.Body) != "body" || a.Header.Get("X-Seen") != "application/x-www-form-urlencoded a-secret" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a secret was carried elsewhere") })
	target := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	if a, err := call(t.Context(), t, time.Minute, target); err != nil || a.Status != http.StatusTemporaryRedirect {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestNoAnswerIsATransientFaultWithoutSecrets(t *testing.T) {
	forever := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // Only then does the server notice that the caller is gone.
		<-r.Context().Done()
	})
	large := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, httpcall.MaxBody+1)) })
	broken := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	ended, end := context.WithCancel(t.Context())
	end()
	for name, tc := range map[string]struct {
		ctx     context.Context
		timeout time.Duration
		target  string
	}{
		"too slow":         {t.Context(), 50 * time.Millisecond, forever},
		"the caller left":  {ended, time.Minute, forever},
		"too large":        {t.Context(), time.Minute, large},
		"connection reset": {t.Context(), time.Minute, broken},
	} {
		_, err := call(tc.ctx, t, tc.timeout, tc.target+"?client_secret=a-secret")
		if !fault.Is(err, fault.Transient) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "a-secret") {
			t.Errorf("%s: the error contains a secret", name)
		}
	}
}

func TestMalformedURL(t *testing.T) {
	if _, err := httpcall.Form(http.MethodGet, "http://a-secret\x7f", nil); !fault.Is(err, fault.Permanent) || strings.Contains(err.Error(), "a-secret") {
		t.Error(err)
	}
}
