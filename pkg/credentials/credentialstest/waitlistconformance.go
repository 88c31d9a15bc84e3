package credentialstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// RunWaitlistStore checks an adapter of the waitlist, which must be empty.
func RunWaitlistStore(t *testing.T, store credentials.WaitlistStore) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	mustAdd := func(contact string, since, until time.Time) {
		t.Helper()
		if err := store.Add(t.Context(), credentials.WaitlistEntry{Contact: contact, Since: since}, until); err != nil {
			t.Fatal(err)
		}
	}
	mustHave := func(now time.Time, want ...credentials.WaitlistEntry) {
		t.Helper()
		got, err := store.Entries(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(append([]credentials.WaitlistEntry{}, want...), got); d != "" {
			t.Error(d)
		}
	}
	mustHave(at)
	late, early := credentials.WaitlistEntry{Contact: "a@example.com", Since: at.Add(time.Second)}, credentials.WaitlistEntry{Contact: "b@example.com", Since: at}
	mustAdd(late.Contact, late.Since, at.Add(time.Hour))
	mustAdd(early.Contact, early.Since, at.Add(time.Hour))
	mustHave(at, early, late)
	mustAdd(early.Contact, at.Add(time.Minute), at.Add(2*time.Hour)) // keeps its Since, and expires later
	mustHave(at, early, late)
	mustHave(at.Add(time.Hour), early)
	mustAdd(early.Contact, early.Since, at.Add(2*time.Hour+9e8)) // Entries expire at whole seconds.
	mustHave(at.Add(2*time.Hour + 1e8))
	if err := store.Remove(t.Context(), early.Contact); err != nil {
		t.Fatal(err)
	}
	if err := store.Remove(t.Context(), early.Contact); !fault.Is(err, fault.NotFound) {
		t.Errorf("a contact that is gone: %v", err)
	}
	mustHave(at, late)
	for n := range 30 { // more than a store deletes at a time
		mustAdd(fmt.Sprintf("%d@example.com", n), at, at.Add(time.Hour))
	}
	for _, want := range []int{31, 0} {
		if n, err := store.Clear(t.Context()); n != want || err != nil {
			t.Errorf("%d cleared, %v", n, err)
		}
	}
	mustHave(at)
}
