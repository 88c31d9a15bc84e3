package credentials

import (
	"context"
	"net/mail"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Waiting is somebody who waits for a place. Nothing leads from here to an
// athlete: Strava refuses an application that is full before it says who asked.
type Waiting struct {
	// Contact is an e-mail address in lower case.
	Contact string
	Since   time.Time
}

// WaitingRoom stores who waits.
type WaitingRoom interface {
	// Enter stores a contact until the time given, after which it is
	// forgotten. A contact that is there already keeps its place in the
	// order, and is kept until then.
	Enter(ctx context.Context, w Waiting, until time.Time) error
	// Waiting returns all who wait at now, in the order they came.
	Waiting(ctx context.Context, now time.Time) ([]Waiting, error)
	// Exit forgets a contact; a not-found fault when it isn't there.
	Exit(ctx context.Context, contact string) error
}

const (
	// maxWaiting bounds what strangers can make us store.
	maxWaiting = 500
	// waitingLife is how long a contact is kept.
	waitingLife = 90 * 24 * time.Hour
	// maxContact is the longest address there can be (RFC 5321, 4.5.3.1.3).
	maxContact = 254
)

// ErrWaitlistFull: nobody more can be put on the waiting list.
var ErrWaitlistFull = fault.New(fault.Conflict, "the waiting list is full")

// Waitlist is where those leave word whom the application has no place for.
type Waitlist struct {
	Room WaitingRoom
	Now  func() time.Time
}

// Join puts a contact on the list. Whether it was there before, the result does
// not tell. Errors: ErrWaitlistFull, or an invalid fault when the contact is no
// e-mail address; it doesn't repeat the contact.
func (w *Waitlist) Join(ctx context.Context, contact string) error {
	contact, err := canonicalContact(contact)
	if err != nil {
		return err
	}
	now := w.Now()
	// Before the contact is looked at: a full list is full for everybody, or
	// its answer would tell who is on it.
	waiting, err := w.Room.Waiting(ctx, now)
	if err != nil {
		return err
	}
	if len(waiting) >= maxWaiting {
		return ErrWaitlistFull
	}
	return w.Room.Enter(ctx, Waiting{Contact: contact, Since: now}, now.Add(waitingLife))
}

// List returns those who wait, in the order they came.
func (w *Waitlist) List(ctx context.Context) ([]Waiting, error) { return w.Room.Waiting(ctx, w.Now()) }

// Remove forgets a contact; a not-found fault when it isn't on the list.
func (w *Waitlist) Remove(ctx context.Context, contact string) error {
	contact, err := canonicalContact(contact)
	if err != nil {
		return err
	}
	return w.Room.Exit(ctx, contact)
}

// canonicalContact is the one form of an e-mail address that is stored.
func canonicalContact(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	// ParseAddress takes names and comments, too; what is stored is an
	// address and nothing else.
	a, err := mail.ParseAddress(s)
	if len(s) > maxContact || err != nil || a.Address != s || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fault.New(fault.Invalid, "this is not an e-mail address")
	}
	return s, nil
}
