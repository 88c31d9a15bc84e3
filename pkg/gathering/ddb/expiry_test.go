package ddb_test

import (
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/ddb"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/kit/dynamo/dynamotest"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/retention"
)

var ended = time.Date(2026, 7, 1, 12, 0, 0, 700_000_000, time.UTC)

// A tombstone outlives every late event, and an athlete without one does not
// expire.
func TestOnlyTombstonesExpire(t *testing.T) {
	for _, a := range []gathering.Athlete{
		{ID: 7, Generation: 1, State: gathering.Active},
		{ID: 7, Generation: 1, State: gathering.Degraded},
		{ID: 7, Generation: 1, State: gathering.Revoked, RevokedAt: ended},
	} {
		var written dynamotest.LastWrite
		memory := gatheringtest.NewStore()
		for _, s := range []gathering.Athletes{ddb.New(&written, "table"), memory} {
			_, err := s.Update(t.Context(), 7, func(of *gathering.Athlete) (bool, error) { *of = a; return true, nil })
			kittest.Must(t, err)
		}
		expires := written.ExpiresAt()
		if want := a.State == gathering.Revoked; expires.IsZero() == want {
			t.Errorf("%s: expires is %t", a.State, !want)
		} else if want && expires.Unix() != ended.Add(retention.Tombstone).Unix() {
			t.Errorf("%s: expires at %s", a.State, expires)
		}
		written.Expires(t, memory.DropExpired)
	}
}

func TestDigestsAndCountsOfEventsExpire(t *testing.T) {
	var written dynamotest.LastWrite
	memory := gatheringtest.NewStore()
	_, err := memory.UpdateInbox(t.Context(), 7, func(m *gathering.Inbox) (bool, error) { m.Generation = 1; return true, nil })
	kittest.Must(t, err)
	table := ddb.New(&written, "table")
	for _, s := range []gathering.Inboxes{table, memory} {
		_, err := s.Deliver(t.Context(), 7, "digest", gathering.Hint{Aspect: gathering.AspectUpdate, ReceivedAt: ended})
		kittest.Must(t, err)
	}
	if expires := written.ExpiresAt(); expires.Unix() != ended.Add(gathering.DigestTTL).Unix() {
		t.Errorf("the digest expires at %s", expires)
	}
	written.Expires(t, memory.DropExpired)

	for _, s := range []gathering.Webhooks{table, memory} {
		kittest.Must(t, s.CountWebhookEvent(t.Context(), ended))
	}
	if expires := written.ExpiresAt(); !expires.Equal(ended.Truncate(24 * time.Hour).Add(gathering.EventCountTTL)) {
		t.Errorf("the count expires at %s", expires)
	}
	written.Expires(t, memory.DropExpired)
}
