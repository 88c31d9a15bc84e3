package activity

import (
	"maps"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Sync is how far the present scan of an athlete's history is. What the scan
// says of itself and the activities it found arrive as separate events, in any
// order.
type Sync struct {
	// Generation and ScanID name the scan. Of two scans the one under the newer
	// authorization is newer, then the one whose id sorts later.
	Generation int64
	ScanID     string
	// Sequence, State, Chunks, WaitingFor, ResumesAt and FinishesAt are those of
	// the scan's latest report, see [gatheringv1.ScanProgressed].
	Sequence   int64
	State      string
	Chunks     int
	WaitingFor string
	ResumesAt  *time.Time
	FinishesAt *time.Time
	// StartedAt is when the scan began; zero until it says so.
	StartedAt time.Time
	// Covered and Confirmed are those of the latest report, too.
	Covered   []Range
	Confirmed bool
	// Stored has the chunks that are stored.
	Stored map[int]StoredChunk
	// Settled is set once what the scan did not find is removed. Until then an
	// ended scan changes neither the activities nor what the athlete is told.
	Settled bool
	// Before has the chunks of the last settled scan before this one under the same
	// authorization; nil once this one is settled, too.
	Before map[int]StoredChunk
}

// StoredChunk is a chunk of a scan that is stored.
type StoredChunk struct {
	// Activities is how many it held.
	Activities int
	// ReadAt is when they were read.
	ReadAt time.Time
}

// adopt makes s about the scan, if that is the present or a newer one.
func (s *Sync) adopt(generation int64, scanID string) bool {
	if generation < s.Generation || generation == s.Generation && scanID < s.ScanID {
		return false
	}
	if generation == s.Generation && scanID == s.ScanID {
		return true
	}
	next := Sync{Generation: generation, ScanID: scanID, State: gatheringv1.ScanScanning, Sequence: -1}
	if generation == s.Generation {
		if next.Before = s.Before; s.Settled && s.allStored() {
			next.Before = map[int]StoredChunk{}
			maps.Copy(next.Before, s.found())
		}
	}
	*s = next
	return true
}

// found returns the stored chunks that count. A scan that went back, because an
// activity was deleted meanwhile, may have ended with fewer chunks than it had
// sent before; the surplus ones do not count.
func (s *Sync) found() map[int]StoredChunk {
	if !s.allStored() {
		return s.Stored
	}
	found := maps.Clone(s.Stored)
	maps.DeleteFunc(found, func(n int, _ StoredChunk) bool { return n >= s.Chunks })
	return found
}

// allStored reports whether the scan has ended and every chunk it sent is stored.
func (s *Sync) allStored() bool {
	for n := range s.Chunks {
		if _, stored := s.Stored[n]; !stored {
			return false
		}
	}
	return s.State == gatheringv1.ScanCompleted
}

// Ended reports whether the scan has ended, and every chunk it sent is stored and
// was read after the time.
func (s *Sync) Ended(readAfter time.Time) bool {
	_, all := count(s.Stored, readAfter)
	return all && s.allStored()
}

// Report takes in what a scan says of itself and reports whether that changed
// anything.
func (s *Sync) Report(f gatheringv1.ScanProgressed) bool {
	if !s.adopt(f.Generation, f.ScanID) || f.Sequence <= s.Sequence {
		return false
	}
	s.Sequence, s.State, s.Chunks = f.Sequence, f.State, f.Chunks
	s.WaitingFor, s.ResumesAt, s.FinishesAt = f.WaitingFor, f.ResumesAt, f.FinishesAt
	if f.StartedAt != nil {
		s.StartedAt = *f.StartedAt
	}
	s.Covered, s.Confirmed = covered(f.Covered), f.Confirmed
	return true
}

// Store takes in that a chunk of activities is stored and reports whether that
// changed anything. A page that was read twice may give a chunk two sizes; the
// later reading's is kept.
func (s *Sync) Store(generation int64, chunk gatheringv1.ScanChunk, stored StoredChunk) bool {
	if !s.adopt(generation, chunk.ScanID) {
		return false
	}
	if old, known := s.Stored[chunk.Number]; known && !stored.ReadAt.After(old.ReadAt) {
		return false
	}
	if s.Stored == nil {
		s.Stored = map[int]StoredChunk{}
	}
	s.Stored[chunk.Number] = stored
	return true
}

// Settle notes that the activities that the scan did not find are removed, and
// reports whether that changed anything. settled is the sync as it was judged:
// if the scan has reported again since, or another one has begun, Settle
// changes nothing.
func (s *Sync) Settle(settled Sync) bool {
	if s.Settled || s.Generation != settled.Generation || s.ScanID != settled.ScanID || s.Sequence != settled.Sequence {
		return false
	}
	s.Settled, s.Covered, s.Before = true, nil, nil
	return true
}

// Forget drops what is known of chunks that were read at the time or before,
// and reports whether there were any. Without them the scan can no longer be
// settled.
func (s *Sync) Forget(until time.Time) bool {
	had, hadBefore := len(s.Stored), s.Before != nil
	maps.DeleteFunc(s.Stored, func(_ int, c StoredChunk) bool { return !c.ReadAt.After(until) })
	if len(s.Stored) < had {
		s.Covered = nil
	}
	if _, all := count(s.Before, until); !all {
		s.Before = nil
	}
	return len(s.Stored) < had || hadBefore && s.Before == nil
}

// count adds up the chunks that were read after the time, and reports whether
// all were.
func count(chunks map[int]StoredChunk, readAfter time.Time) (activities int, all bool) {
	all = true
	for _, c := range chunks {
		if c.ReadAt.After(readAfter) {
			activities += c.Activities
		} else {
			all = false
		}
	}
	return activities, all
}

// States of a [Status].
const (
	Backfilling = "backfilling"
	Waiting     = "waiting"
	Current     = "current"
)

// Status is what an athlete is told of the gathering.
type Status struct {
	State string
	// Gathered counts the activities that the scan found and that are stored.
	Gathered int
	// WaitingFor is empty unless the state is [Waiting]; ResumesAt is nil
	// unless it is, and known.
	WaitingFor string
	ResumesAt  *time.Time
	// FinishesAt is an estimate; nil when the state is [Current], or not known.
	FinishesAt *time.Time
}

// Status of the sync, whose chunks count if they were read after the time. It is
// [Current] once a scan is settled, and stays so during the next ones. A scan that
// is not settled does not count as complete: what it did not find is still held.
func (s Sync) Status(readAfter time.Time) Status {
	gathered, _ := count(s.found(), readAfter)
	before, all := count(s.Before, readAfter)
	switch {
	case s.Settled && s.Ended(readAfter):
		return Status{State: Current, Gathered: gathered}
	case s.Before != nil && all && s.WaitingFor != gatheringv1.WaitingForReconnect: // Nothing keeps it true then.
		return Status{State: Current, Gathered: before}
	}
	out := Status{State: Backfilling, Gathered: gathered, FinishesAt: s.FinishesAt}
	if s.State == gatheringv1.ScanWaiting {
		out.State, out.WaitingFor, out.ResumesAt = Waiting, s.WaitingFor, s.ResumesAt
	}
	return out
}
