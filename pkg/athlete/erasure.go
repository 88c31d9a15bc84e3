package athlete

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// Parts of an erasure: the boundaries that hold an athlete's data. The part of
// a linked account has the name of its provider, such as fitbit.
const (
	PartCredentials = "credentials"
	PartGathering   = "gathering"
	PartAthlete     = "athlete"
	PartActivity    = "activity"
)

// boundaries are the parts of the erasure of an athlete.
var boundaries = []string{PartCredentials, PartGathering, PartAthlete, PartActivity}

// Erasure is the state of one erasure. It does not name the athlete.
//
// It only grows: the earliest of two times counts, and a part that was added
// stays. So it is the same in whatever order its events arrive, and however
// often; see docs/adr/0020.
type Erasure struct {
	Receipt string
	// RequestedAt is when the erasure was asked for; zero as long as only
	// confirmations have arrived.
	RequestedAt time.Time
	// Parts have to confirm the erasure, in alphabetical order. There are none
	// until an event has named them.
	Parts []string
	// Confirmed is when each part had erased. It may name parts that Parts does
	// not have yet.
	Confirmed map[string]time.Time
}

// ErasureTime is how long an erasure may take before an operator should look
// into it.
const ErasureTime = time.Hour

// ErrNoErasure means that no erasure has that receipt.
var ErrNoErasure = fault.New(fault.NotFound, "no such erasure")

// open records that the erasure was asked for, and which parts have to confirm
// it, if they are known. It reports whether that changed anything.
func (e *Erasure) open(requestedAt time.Time, parts ...string) bool {
	changed := false
	requestedAt = stored(requestedAt)
	if !requestedAt.IsZero() && (e.RequestedAt.IsZero() || requestedAt.Before(e.RequestedAt)) {
		e.RequestedAt, changed = requestedAt, true
	}
	for _, part := range parts {
		if i, known := slices.BinarySearch(e.Parts, part); !known {
			e.Parts, changed = slices.Insert(slices.Clone(e.Parts), i, part), true
		}
	}
	return changed
}

// confirm records when a part had erased. It reports whether that changed
// anything.
func (e *Erasure) confirm(part string, at time.Time) bool {
	at = stored(at)
	if known, is := e.Confirmed[part]; is && !at.Before(known) {
		return false
	}
	confirmed := map[string]time.Time{part: at}
	for other, at := range e.Confirmed {
		if other != part {
			confirmed[other] = at
		}
	}
	e.Confirmed = confirmed
	return true
}

// CompletedAt is when the last part had erased; zero until all have.
func (e Erasure) CompletedAt() time.Time {
	var last time.Time
	for _, part := range e.Parts {
		at, confirmed := e.Confirmed[part]
		if !confirmed {
			return time.Time{}
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}

// CopiesGoneBy is when the last copy of the erased data is gone, too; zero
// until the erasure is completed.
func (e Erasure) CopiesGoneBy() time.Time { return after(e.CompletedAt(), retention.Copies) }

// shownUntil is when the erasure can no longer be looked up; zero until it is
// completed.
func (e Erasure) shownUntil() time.Time { return after(e.CompletedAt(), retention.Receipt) }

// stored returns a time as it is stored: in UTC, to the millisecond.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func after(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

// began is when the erasure was asked for or, as long as that is not known,
// when its first part was erased.
func (e Erasure) began() time.Time {
	first := e.RequestedAt
	for _, at := range e.Confirmed {
		if e.RequestedAt.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// openErasure records that an erasure was asked for; see [Erasure.open].
func (s *Service) openErasure(ctx context.Context, receipt string, requestedAt time.Time, parts ...string) error {
	_, err := s.Erasures.Update(ctx, receipt, func(e *Erasure) (bool, error) { return e.open(requestedAt, parts...), nil })
	if err != nil {
		return fmt.Errorf("open erasure: %w", err)
	}
	return nil
}

// confirmErasure records when a part had erased; see [Erasure.confirm].
func (s *Service) confirmErasure(ctx context.Context, receipt, part string, at time.Time) error {
	_, err := s.Erasures.Update(ctx, receipt, func(e *Erasure) (bool, error) { return e.confirm(part, at), nil })
	if err != nil {
		return fmt.Errorf("confirm erasure: %w", err)
	}
	return nil
}

// Erasure returns the state of an erasure. It fails with [ErrNoErasure] if none
// was asked for under the receipt, or if it was completed more than
// [retention.Receipt] ago.
func (s *Service) Erasure(ctx context.Context, receipt string) (Erasure, error) {
	e, err := s.Erasures.Erasure(ctx, receipt)
	if err != nil {
		return Erasure{}, fmt.Errorf("read erasure: %w", err)
	}
	until := e.shownUntil()
	if e.RequestedAt.IsZero() || !until.IsZero() && !s.Events.Now().Before(until) {
		return Erasure{}, ErrNoErasure
	}
	return e, nil
}
