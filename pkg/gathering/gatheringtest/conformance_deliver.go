package gatheringtest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

func eventIsDeliveredOnce(t *testing.T, s Storage) {
	hint := gathering.Hint{Aspect: gathering.AspectUpdate, ActivityID: 11, EventTime: 1, ReceivedAt: at(1)}
	deliver := func(athleteID int64, digest string, want gathering.Delivery) {
		t.Helper()
		if got, err := s.Deliver(t.Context(), athleteID, digest, hint); err != nil || got != want {
			t.Errorf("%s to %d: %q %v, want %q", digest, athleteID, got, err, want)
		}
	}
	deliver(7, "a", gathering.UnknownAthlete)
	open(t, s, 7, 5)
	open(t, s, 8, 5)
	deliver(7, "a", gathering.Delivered)
	deliver(7, "a", gathering.Duplicate)
	deliver(7, "b", gathering.Delivered)
	deliver(8, "a", gathering.Delivered)
	m := inbox(t, s, 7)
	if d := cmp.Diff([]gathering.Hint{hint, hint}, m.Hints); d != "" {
		t.Error(d)
	}
	if m.Job.Class != quota.Webhook || !m.Job.Due.Equal(at(1)) {
		t.Errorf("job %+v", m.Job)
	}
	// Also after the hints are dealt with.
	change(t, s, 7, func(m *gathering.Inbox) { m.Hints, m.Job = nil, gathering.Job{} })
	deliver(7, "a", gathering.Duplicate)
	// The end of an earlier authorization does not drop the inbox.
	if err := s.DropInbox(t.Context(), gathering.Authorization{AthleteID: 7, Generation: 4}); err != nil {
		t.Fatal(err)
	}
	deliver(7, "a", gathering.Duplicate)
	if err := s.DropInbox(t.Context(), gathering.Authorization{AthleteID: 7, Generation: 5}); err != nil {
		t.Fatal(err)
	}
	deliver(7, "a", gathering.UnknownAthlete)
	open(t, s, 7, 6)
	deliver(7, "a", gathering.Delivered)
	deliver(8, "a", gathering.Duplicate)
	if err := s.DropInbox(t.Context(), gathering.Authorization{AthleteID: 9, Generation: 5}); err != nil {
		t.Errorf("dropping an inbox that does not exist: %v", err)
	}
}

func hintMakesTheJobDue(t *testing.T, s Storage) {
	open(t, s, 7, 5)
	change(t, s, 7, func(m *gathering.Inbox) {
		m.Job = gathering.Job{Class: quota.Webhook, Due: at(30), LeasedUntil: at(2), LeaseOwner: "o", Failures: 1}
	})
	for _, tc := range []struct {
		aspect string
		want   quota.Class
	}{{gathering.AspectUpdate, quota.Webhook}, {gathering.AspectDeauthorize, quota.Leave}, {gathering.AspectUpdate, quota.Leave}} {
		h := gathering.Hint{Aspect: tc.aspect, ReceivedAt: at(1)}
		if d, err := s.Deliver(t.Context(), 7, tc.aspect+string(tc.want), h); err != nil || d != gathering.Delivered {
			t.Fatal(d, err)
		}
		want := gathering.Job{Class: tc.want, Due: at(1), LeasedUntil: at(2), LeaseOwner: "o", Failures: 1}
		if d := cmp.Diff(want, inbox(t, s, 7).Job); d != "" {
			t.Errorf("%s: %s", tc.aspect, d)
		}
	}
	if refs := due(t, s, quota.Leave, at(1), nil, 9); len(refs) != 1 {
		t.Errorf("due %+v", refs)
	}
}

func fullInboxOverflows(t *testing.T, s Storage) {
	open(t, s, 7, 5)
	many := make([]gathering.Hint, gathering.MaxHints-1)
	for i := range many {
		many[i] = gathering.Hint{Aspect: gathering.AspectDelete, ActivityID: int64(i + 1), ReceivedAt: at(0)}
	}
	change(t, s, 7, func(m *gathering.Inbox) { m.Hints = many })
	for i := range 3 {
		d, err := s.Deliver(t.Context(), 7, fmt.Sprint(i), gathering.Hint{Aspect: gathering.AspectDelete, ActivityID: 1000, ReceivedAt: at(1)})
		if err != nil || d != gathering.Delivered {
			t.Fatal(d, err)
		}
		if m := inbox(t, s, 7); len(m.Hints) != gathering.MaxHints || m.Overflowed != (i > 0) {
			t.Errorf("after %d more: %d hints, overflowed %v", i+1, len(m.Hints), m.Overflowed)
		}
	}
	d, err := s.Deliver(t.Context(), 7, "2", gathering.Hint{Aspect: gathering.AspectDelete, ActivityID: 1000, ReceivedAt: at(1)})
	if err != nil || d != gathering.Duplicate {
		t.Errorf("again: %s %v", d, err)
	}
}
