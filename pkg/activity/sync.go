package activity

import (
	"maps"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Sync is the state of the current scan of an athlete's history. The reports of
// the scan and the activities that it found arrive as separate events, in any
// order.
type Sync struct {
	// Generation and ScanID identify the scan. Of two scans the one under the
	// newer authorization is newer, then the one whose id sorts later.
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
	// StartedAt is when the scan began, in whole milliseconds; zero until it is
	// reported.
	StartedAt time.Time
	// Covered and Confirmed are those of the latest report, too.
	Covered   []Range
	Confirmed bool
	// Stored has the stored chunks by number.
	Stored map[int]StoredChunk
	// Reconciled is set once the activities that the scan did not find are
	// removed. Until then an ended scan changes neither the activities nor the
	// progress that the athlete sees.
	Reconciled bool
	// Before has the chunks of the last reconciled scan before this one under the
	// same authorization; nil once this one is reconciled, too.
	Before map[int]StoredChunk
}

// StoredChunk is a stored chunk of a scan.
type StoredChunk struct {
	// Activities is the number of activities in the chunk.
	Activities int
	// ReadAt is when they were read, in whole milliseconds.
	ReadAt time.Time
}

// adopt makes s the sync of the scan. It reports false if s is that of a newer
// scan.
func (s *Sync) adopt(generation int64, scanID string) bool {
	if generation < s.Generation || generation == s.Generation && scanID < s.ScanID {
		return false
	}
	if generation == s.Generation && scanID == s.ScanID {
		return true
	}
	next := Sync{Generation: generation, ScanID: scanID, State: gatheringv1.ScanScanning, Sequence: -1}
	if generation == s.Generation {
		if next.Before = s.Before; s.Reconciled && s.allStored() {
			next.Before = map[int]StoredChunk{}
			maps.Copy(next.Before, s.found())
		}
	}
	*s = next
	return true
}

// found returns the stored chunks that count. A scan steps back if an activity
// is deleted while it runs. It may then end with fewer chunks than it sent
// before; the surplus ones do not count.
func (s *Sync) found() map[int]StoredChunk {
	if !s.allStored() {
		return s.Stored
	}
	found := maps.Clone(s.Stored)
	maps.DeleteFunc(found, func(n int, _ StoredChunk) bool { return n >= s.Chunks })
	return found
}

// allStored reports whether the scan has ended and all of its chunks are
// stored.
func (s *Sync) allStored() bool {
	for n := range s.Chunks {
		if _, stored := s.Stored[n]; !stored {
			return false
		}
	}
	return s.State == gatheringv1.ScanCompleted
}

// Ended reports whether the scan has ended, and all of its chunks are stored
// and were read after the time.
func (s *Sync) Ended(readAfter time.Time) bool {
	_, all := count(s.Stored, readAfter)
	return all && s.allStored()
}

// Report records the report of a scan. It returns whether the sync changed.
func (s *Sync) Report(f gatheringv1.ScanProgressed) bool {
	if !s.adopt(f.Generation, f.ScanID) || f.Sequence <= s.Sequence {
		return false
	}
	s.Sequence, s.State, s.Chunks = f.Sequence, f.State, f.Chunks
	s.WaitingFor, s.ResumesAt, s.FinishesAt = f.WaitingFor, f.ResumesAt, f.FinishesAt
	if f.StartedAt != nil {
		s.StartedAt = inMillis(*f.StartedAt)
	}
	s.Covered, s.Confirmed = covered(f.Covered), f.Confirmed
	return true
}

// Store records that a chunk of activities is stored. It returns whether the
// sync changed. If a page was read twice, the later reading's size counts.
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

// Reconcile records that the activities that the scan did not find are removed.
// It returns whether the sync changed. judged is the sync on which the removal
// was based: if the scan has reported again since, or another one has begun,
// Reconcile changes nothing.
func (s *Sync) Reconcile(judged Sync) bool {
	if s.Reconciled || s.Generation != judged.Generation || s.ScanID != judged.ScanID || s.Sequence != judged.Sequence {
		return false
	}
	s.Reconciled, s.Covered, s.Before = true, nil, nil
	return true
}

// Expire drops the chunks that were read at the time or before. It returns
// whether there were any. Without them the scan can no longer be reconciled.
func (s *Sync) Expire(until time.Time) bool {
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

// count adds up the activities of the chunks that were read after the time, and
// reports whether all chunks were.
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

// States of a [Progress].
const (
	Backfilling = "backfilling"
	Waiting     = "waiting"
	Current     = "current"
)

// Progress is the state of the gathering as the athlete sees it.
type Progress struct {
	State string
	// Gathered is the number of activities that the scan found and that are
	// stored.
	Gathered int
	// WaitingFor is empty unless the state is [Waiting]. ResumesAt is nil unless
	// the state is [Waiting] and the time is known.
	WaitingFor string
	ResumesAt  *time.Time
	// FinishesAt is an estimate; nil if it is unknown or the state is [Current].
	FinishesAt *time.Time
}

// Progress returns the progress of the sync; chunks count if they were read
// after the time. It is [Current] once a scan is reconciled, and stays so
// during later scans. A scan that is not reconciled does not count as complete,
// because activities that it did not find are still stored.
func (s Sync) Progress(readAfter time.Time) Progress {
	gathered, _ := count(s.found(), readAfter)
	before, all := count(s.Before, readAfter)
	switch {
	case s.Reconciled && s.Ended(readAfter):
		return Progress{State: Current, Gathered: gathered}
	// Until the athlete reconnects, no webhook or scan keeps the activities
	// current.
	case s.Before != nil && all && s.WaitingFor != gatheringv1.WaitingForReconnect:
		return Progress{State: Current, Gathered: before}
	}
	out := Progress{State: Backfilling, Gathered: gathered, FinishesAt: s.FinishesAt}
	if s.State == gatheringv1.ScanWaiting {
		out.State, out.WaitingFor, out.ResumesAt = Waiting, s.WaitingFor, s.ResumesAt
	}
	return out
}
