package gatheringtest

import (
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Storage is the gathering table without the budget.
type Storage interface {
	gathering.Athletes
	gathering.Inboxes
	gathering.JobQueue
	gathering.Webhooks
	gathering.Inventory
}

var errBoom = errors.New("boom")

// at is a time within the tests.
func at(minutes int) time.Time {
	return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// RunStorage checks an adapter of the gathering table. newStorage returns an
// empty one each time.
func RunStorage(t *testing.T, newStorage func(t *testing.T) Storage) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.test(t, newStorage(t)) })
	}
}

var cases = []struct {
	name string
	test func(*testing.T, Storage)
}{
	{"an athlete is stored whole", athleteIsStoredWhole},
	{"an inbox is stored whole", inboxIsStoredWhole},
	{"an error of change writes nothing", errorOfChangeWritesNothing},
	{"an unchanged item is not written", unchangedItemIsNotWritten},
	{"no update is lost", noUpdateIsLost},
	{"a change runs again if another process writes first", changeRunsAgain},
	{"a hint that arrives during an update stays", deliveredBetween},
	{"an event is delivered once, and only to a known athlete", eventIsDeliveredOnce},
	{"a hint makes the job due and leaves the lease alone", hintMakesTheJobDue},
	{"a full inbox overflows", fullInboxOverflows},
	{"jobs are listed by class, the longest due first", jobsAreListedByClass},
	{"jobs that are due at the same time are listed page by page", jobsAreListedPageByPage},
	{"events are counted by UTC day", eventsAreCountedByDay},
	{"the inventory visits everything about athletes", inventoryVisitsEverything},
	{"the webhook is stored whole", webhookIsStoredWhole},
}

func open(t *testing.T, s Storage, athleteID, generation int64) {
	t.Helper()
	change(t, s, athleteID, func(m *gathering.Inbox) { m.Generation = generation })
}

func change(t *testing.T, s Storage, athleteID int64, change func(*gathering.Inbox)) {
	t.Helper()
	if _, err := s.UpdateInbox(t.Context(), athleteID, func(m *gathering.Inbox) (bool, error) { change(m); return true, nil }); err != nil {
		t.Fatal(err)
	}
}

func inbox(t *testing.T, s Storage, athleteID int64) gathering.Inbox {
	t.Helper()
	m, err := s.UpdateInbox(t.Context(), athleteID, func(*gathering.Inbox) (bool, error) { return false, nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func due(t *testing.T, s Storage, class quota.Class, until time.Time, after *gathering.JobRef, limit int) []gathering.JobRef {
	t.Helper()
	refs, err := s.Due(t.Context(), class, until, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return refs
}
