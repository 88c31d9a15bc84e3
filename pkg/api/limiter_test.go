package api

import (
	"testing"
	"time"
)

// A limiter drops the full buckets and no others.
func TestLimiterForgets(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := NewLimiter(func() time.Time { return now })
	const many = 10 * limiterRoom
	for id := range int64(many) {
		l.take(id)
	}
	if n := len(l.full); n != many {
		t.Errorf("%d of %d buckets that are not full", n, many)
	}
	now = now.Add(fillTime)
	for id := range int64(many + limiterRoom) {
		l.take(many + id)
	}
	if n := len(l.full); n > many+limiterRoom {
		t.Errorf("%d buckets, %d of them in use", n, many+limiterRoom)
	}
}

func TestInert(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", "a=1": "a=1", "=1": "'=1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "ä": "ä", "'": "'",
	} {
		if got := inert(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
