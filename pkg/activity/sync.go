package activity

import (
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
	// Sequence, State, Chunks, WaitingFor and ResumesAt are those of the scan's
	// latest report, see [gatheringv1.ScanProgressed].
	Sequence   int64
	State      string
	Chunks     int
	WaitingFor string
	ResumesAt  *time.Time
	// Stored has, for each chunk that is stored, how many activities it held.
	Stored map[int]int
}

// adopt makes s about the scan, if that is the present or a newer one.
func (s *Sync) adopt(generation int64, scanID string) bool {
	if generation < s.Generation || generation == s.Generation && scanID < s.ScanID {
		return false
	}
	if generation != s.Generation || scanID != s.ScanID {
		*s = Sync{Generation: generation, ScanID: scanID, State: gatheringv1.ScanScanning, Sequence: -1}
	}
	return true
}

// Report takes in what a scan says of itself and tells whether that changed
// anything.
func (s *Sync) Report(f gatheringv1.ScanProgressed) bool {
	if !s.adopt(f.Generation, f.ScanID) || f.Sequence <= s.Sequence {
		return false
	}
	s.Sequence, s.State, s.Chunks, s.WaitingFor, s.ResumesAt = f.Sequence, f.State, f.Chunks, f.WaitingFor, f.ResumesAt
	return true
}

// Store takes in that a chunk of activities is stored and tells whether that
// changed anything. A page that was read twice may give a chunk two sizes; the
// larger is kept.
func (s *Sync) Store(generation int64, chunk gatheringv1.ScanChunk, activities int) bool {
	if !s.adopt(generation, chunk.ScanID) {
		return false
	}
	if most, known := s.Stored[chunk.Number]; known && activities <= most {
		return false
	}
	if s.Stored == nil {
		s.Stored = map[int]int{}
	}
	s.Stored[chunk.Number] = activities
	return true
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
	// Gathered counts the activities that the present scan found and that are
	// stored.
	Gathered int
	// WaitingFor is empty unless the state is [Waiting]; ResumesAt is nil
	// unless it is, and known.
	WaitingFor string
	ResumesAt  *time.Time
}

// Status of the sync. It is [Current] only when the scan has ended and every
// chunk it sent is stored.
func (s Sync) Status() Status {
	out := Status{State: Backfilling}
	complete := s.State == gatheringv1.ScanCompleted
	for n := range s.Chunks {
		if _, stored := s.Stored[n]; !stored {
			complete = false
		}
	}
	for _, activities := range s.Stored {
		out.Gathered += activities
	}
	switch {
	case complete:
		out.State = Current
	case s.State == gatheringv1.ScanWaiting:
		out.State, out.WaitingFor, out.ResumesAt = Waiting, s.WaitingFor, s.ResumesAt
	}
	return out
}
