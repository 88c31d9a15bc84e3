package credentials_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin"
)

// waitlist is the waitlist of an application that is full.
type waitlist struct {
	*credentials.Waitlist
	t     *testing.T
	clock *standin.ManualClock
	store *credentialstest.WaitlistStore
}

func newWaitlist(t *testing.T) *waitlist {
	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	ports, memory := credentialstest.NewPorts(clock.Now)
	ports.AthleteCapacity = 0
	return &waitlist{ports.Waitlist(ports.Capacity()), t, clock, memory.Waitlist}
}

func (w *waitlist) form() secret.String {
	w.t.Helper()
	form, life, err := w.IssueForm(w.t.Context(), credentials.NoPlaceHere)
	if err != nil || form.Empty() || life != time.Hour {
		w.t.Fatalf("a form for %s, %v", life, err)
	}
	return form
}

// join sends a form of its own.
func (w *waitlist) join(contact string) error {
	w.t.Helper()
	return w.Join(w.t.Context(), w.form(), contact)
}

func (w *waitlist) expect(want ...string) {
	w.t.Helper()
	list, err := w.List(w.t.Context())
	if err != nil || len(list) != len(want) {
		w.t.Fatalf("%+v, %v", list, err)
	}
	for i, c := range want {
		if list[i].Contact != c {
			w.t.Errorf("number %d is %s", i, list[i].Contact)
		}
	}
}

func TestWaitlist(t *testing.T) {
	w := newWaitlist(t)
	join := func(contact string) {
		t.Helper()
		if err := w.join(contact); err != nil {
			t.Fatalf("%s: %v", contact, err)
		}
	}
	join("zoe@example.com")
	w.clock.Advance(time.Hour)
	join(" Ann.O'Neil+strava@Example.COM ")
	w.clock.Advance(time.Hour)
	join("ZOE@example.com") // one entry per contact, and its place is kept
	w.expect("zoe@example.com", "ann.o'neil+strava@example.com")

	w.clock.Advance(90*24*time.Hour - time.Hour)
	w.expect("zoe@example.com")
	if err := w.Remove(t.Context(), "Zoe@Example.com"); err != nil {
		t.Error(err)
	}
	if err := w.Remove(t.Context(), "zoe@example.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("removing twice: %v", err)
	}
	w.expect()
}

func TestTheWaitlistIsCleared(t *testing.T) {
	w := newWaitlist(t)
	for _, contact := range []string{"ann@example.com", "bob@example.com"} {
		if err := w.join(contact); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.Clear(t.Context()); n != 2 || err != nil {
		t.Errorf("%d cleared, %v", n, err)
	}
	w.expect()
}

func TestTheWaitlistTakesAddressesOnly(t *testing.T) {
	w := newWaitlist(t)
	form := w.form()
	for _, bad := range []string{
		"", " ", "ann", "@example.com", "ann@", "ann@@example.com", "Ann <ann@example.com>", "ann@example.com, bob@example.com",
		"ann@example.com\nbcc: x@example.com", "a nn@example.com", `"ann"@example.com`, "änn@example.com", "\x1b[2J@example.com", strings.Repeat("a", 250) + "@example.com",
	} {
		err := w.Join(t.Context(), form, bad)
		if !fault.Is(err, fault.Invalid) || (len(bad) > 1 && strings.Contains(err.Error(), bad)) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := w.Remove(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("removing %q: %v", bad, err)
		}
	}
	w.expect()
	// An invalid contact does not consume the form.
	if err := w.Join(t.Context(), form, "ann@example.com"); err != nil {
		t.Error(err)
	}
}

func TestAFullWaitlistDoesNotRevealItsContacts(t *testing.T) {
	w := newWaitlist(t)
	since := w.clock.Now().Add(-2 * time.Hour)
	for i := range 500 {
		one := credentials.WaitlistEntry{Contact: strconv.Itoa(i) + "@example.com", Since: since}
		if err := w.store.Add(t.Context(), one, since.Add(90*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	for _, contact := range []string{"new@example.com", "0@example.com"} {
		if err := w.join(contact); !errors.Is(err, credentials.ErrWaitlistFull) {
			t.Errorf("%s: %v", contact, err)
		}
	}
}

func TestTheWaitlistTakesIssuedFormsOnce(t *testing.T) {
	w := newWaitlist(t)
	refused := func(why string, form secret.String) {
		t.Helper()
		if err := w.Join(t.Context(), form, "eve@example.com"); !errors.Is(err, credentials.ErrFormInvalid) {
			t.Errorf("%s: %v", why, err)
		}
	}
	refused("no form", secret.String{})
	refused("a form by guess", secret.New("form"))
	state := secret.New("state")
	if err := w.Forms.PutState(t.Context(), state.SHA256(), credentials.ConnectState{Nonce: secret.New("nonce").SHA256(), ExpiresAt: w.clock.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	refused("the state of a connect", state)
	late := w.form()
	w.clock.Advance(time.Hour)
	refused("a form that is an hour old", late)

	form := w.form()
	results := make([]error, 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { results[i] = w.Join(t.Context(), form, fmt.Sprintf("%d@example.com", i)) })
	}
	wg.Wait()
	joined := 0
	for _, err := range results {
		if err == nil {
			joined++
		} else if !errors.Is(err, credentials.ErrFormInvalid) {
			t.Error(err)
		}
	}
	if list, err := w.List(t.Context()); joined != 1 || len(list) != 1 || err != nil {
		t.Errorf("one form, sent 8 times, put %d on the list (%v); %d were accepted", len(list), err, joined)
	}
}

func TestTheWaitlistTakesTwentyContactsAnHour(t *testing.T) {
	w := newWaitlist(t)
	for i := range 20 {
		if err := w.join(fmt.Sprintf("%d@example.com", i)); err != nil {
			t.Fatal(i, err)
		}
		w.clock.Advance(time.Minute)
	}
	for _, contact := range []string{"new@example.com", "0@example.com"} {
		err := w.join(contact)
		if busy, is := errors.AsType[credentials.WaitlistBusyError](err); !is || busy.Wait != 40*time.Minute {
			t.Errorf("%s: %v", contact, err)
		}
	}
	w.clock.Advance(40 * time.Minute) // The first came an hour ago.
	if err := w.join("new@example.com"); err != nil {
		t.Error(err)
	}
	if err := w.join("newer@example.com"); err == nil {
		t.Error("two for the place of one")
	}
}

func TestTheWaitlistIsForAFullApplication(t *testing.T) {
	w := newWaitlist(t)
	w.Capacity.Athletes = 1
	if err := w.join("ann@example.com"); !errors.Is(err, credentials.ErrPlaceFree) {
		t.Error(err)
	}
	w.expect()
	// Strava's refusal counts, whatever the setting.
	form, _, err := w.IssueForm(t.Context(), credentials.NoPlaceAtCallback)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Join(t.Context(), form, "bob@example.com"); err != nil {
		t.Error(err)
	}
	w.expect("bob@example.com")
}
