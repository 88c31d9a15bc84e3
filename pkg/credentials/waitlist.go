package credentials

import (
	"context"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// WaitlistEntry is a contact that waits for a place. It is not linked to an
// athlete: Strava refuses the code of an athlete beyond the capacity before it
// names the athlete.
type WaitlistEntry struct {
	// Contact is an e-mail address in lower case.
	Contact string
	Since   time.Time
}

// WaitlistStore stores the waitlist.
type WaitlistStore interface {
	// Add stores a contact until the given time. A contact that is there already
	// keeps its Since.
	Add(ctx context.Context, e WaitlistEntry, until time.Time) error
	// Entries returns the entries that have not expired at now, the oldest first.
	Entries(ctx context.Context, now time.Time) ([]WaitlistEntry, error)
	// Remove removes a contact; a not-found fault if it is not there.
	Remove(ctx context.Context, contact string) error
	// Clear removes all entries, and returns how many there were.
	Clear(ctx context.Context) (int, error)
}

const (
	// maxEntries bounds how much data strangers can have us store.
	maxEntries = 500
	// entryTTL is how long a contact is kept.
	entryTTL = 90 * 24 * time.Hour
	// formTTL is how long a form is valid.
	formTTL = time.Hour
	// maxPerHour bounds how many contacts the list takes in one hour. Network
	// addresses are not stored, so the bound applies to the whole stage.
	maxPerHour = 20
	// maxContact is the longest address there can be (RFC 5321, 4.5.3.1.3).
	maxContact = 254
)

// Reasons why the waitlist takes no contact.
var (
	// ErrWaitlistFull: the list takes no more contacts.
	ErrWaitlistFull = fault.New(fault.Conflict, "the waitlist is full")
	// ErrPlaceFree: the application has a place, so there is nothing to wait for.
	ErrPlaceFree = fault.New(fault.Conflict, "there is a place")
	// ErrFormInvalid: the form was not issued here, was sent before, or is too
	// old.
	ErrFormInvalid = fault.New(fault.Conflict, "the form is unknown, used or expired")
)

// WaitlistBusyError means that too many contacts were added within the last
// hour.
type WaitlistBusyError struct {
	// Wait is how long the list takes no more contacts.
	Wait time.Duration
}

// Error implements error.
func (e WaitlistBusyError) Error() string {
	return "the waitlist takes no more contacts for " + e.Wait.String()
}

// Waitlist takes the contacts of people for whom the application has no place.
type Waitlist struct {
	Store WaitlistStore
	// Forms stores the digests of forms that were issued.
	Forms    ConnectStates
	Capacity *Capacity
	// NewSecret returns 256 unguessable bits as URL-safe text.
	NewSecret func() string
	Now       func() time.Time
}

// FormReason is why there was no place when a form was issued. It is stored in
// place of a nonce, so that a connect's state is no form and a form is no
// state.
type FormReason string

// The reasons.
const (
	// NoPlaceHere: the application was at its capacity when the connect was to
	// begin.
	NoPlaceHere FormReason = "no place here"
	// NoPlaceAtCallback: the athlete consented and was refused, in most cases by
	// Strava.
	NoPlaceAtCallback FormReason = "no place at the callback"
)

// IssueForm returns a form, which adds one contact to the list within life.
func (w *Waitlist) IssueForm(ctx context.Context, why FormReason) (form secret.String, life time.Duration, err error) {
	form = secret.New(w.NewSecret())
	if err := w.Forms.PutState(ctx, form.SHA256(), ConnectState{Nonce: string(why), ExpiresAt: w.Now().Add(formTTL)}); err != nil {
		return secret.String{}, 0, fmt.Errorf("issue a form: %w", err)
	}
	return form, formTTL, nil
}

// Join adds a contact to the list. Its result does not reveal whether the
// contact was there before. A form counts once, unless its contact was refused
// as invalid.
//
// Errors: ErrFormInvalid, ErrPlaceFree, ErrWaitlistFull, a [WaitlistBusyError],
// or an invalid fault if the contact is no e-mail address; it does not repeat
// the contact.
func (w *Waitlist) Join(ctx context.Context, form secret.String, contact string) error {
	contact, err := canonicalContact(contact)
	if err != nil {
		return err
	}
	why, err := w.takeForm(ctx, form)
	if err != nil {
		return err
	}
	if why == NoPlaceHere {
		full, err := w.Capacity.Full(ctx)
		if err != nil {
			return err
		}
		if !full {
			return ErrPlaceFree
		}
	}
	now := w.Now()
	// Known and unknown contacts get the same answer, which therefore does not
	// reveal who is on the list.
	waiting, err := w.Store.Entries(ctx, now)
	if err != nil {
		return err
	}
	if len(waiting) >= maxEntries {
		return ErrWaitlistFull
	}
	if n := len(waiting) - maxPerHour; n >= 0 {
		// The entries are in the order in which they were added.
		if wait := waiting[n].Since.Add(time.Hour).Sub(now); wait > 0 {
			return WaitlistBusyError{wait}
		}
	}
	return w.Store.Add(ctx, WaitlistEntry{Contact: contact, Since: now}, now.Add(entryTTL))
}

// takeForm consumes a form, and returns why it was issued.
func (w *Waitlist) takeForm(ctx context.Context, form secret.String) (FormReason, error) {
	if form.Empty() {
		return "", ErrFormInvalid
	}
	stored, err := w.Forms.TakeState(ctx, form.SHA256())
	if fault.Is(err, fault.NotFound) {
		return "", ErrFormInvalid
	}
	if err != nil {
		return "", fmt.Errorf("take the form: %w", err)
	}
	why := FormReason(stored.Nonce)
	if (why != NoPlaceHere && why != NoPlaceAtCallback) || !w.Now().Before(stored.ExpiresAt) {
		return "", ErrFormInvalid
	}
	return why, nil
}

// List returns the entries in the order in which they were added.
func (w *Waitlist) List(ctx context.Context) ([]WaitlistEntry, error) {
	return w.Store.Entries(ctx, w.Now())
}

// Clear removes all entries, and returns how many there were.
func (w *Waitlist) Clear(ctx context.Context) (int, error) { return w.Store.Clear(ctx) }

// Remove removes a contact; a not-found fault if it is not on the list.
func (w *Waitlist) Remove(ctx context.Context, contact string) error {
	contact, err := canonicalContact(contact)
	if err != nil {
		return err
	}
	return w.Store.Remove(ctx, contact)
}

// canonicalContact returns the one form of an e-mail address that is stored.
func canonicalContact(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	// ParseAddress accepts names and comments, too.
	a, err := mail.ParseAddress(s)
	if len(s) > maxContact || err != nil || a.Address != s || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fault.New(fault.Invalid, "the contact is not an e-mail address")
	}
	return s, nil
}
