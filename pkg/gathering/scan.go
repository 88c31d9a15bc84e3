package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

const (
	// PageSize is how many activities a page has; Strava's largest.
	PageSize = 200
	// horizon is how far ahead of a scan's beginning an activity may start to be
	// found: clocks of devices are wrong by years. Beyond it a scan says nothing.
	horizon = 5 * 365 * 24 * time.Hour
	// maxRecentPages is how many pages a scan can go back without beginning again.
	maxRecentPages = 16
	// A page that fails narrowAfter times in a row is read in smaller ones, until
	// what Strava fails to show is alone and can be skipped; but not more than
	// maxSkipped of them in a row, for then it is not they that fail.
	narrowAfter = 3
	maxSkipped  = 3
	// maxHoles is how many holes the next scan goes around without finding them
	// again.
	maxHoles = 20
	// The end of a scan that comes too early is read once more after endDelay: one
	// empty page may be wrong.
	endDelay        = 30 * time.Second
	maxEndsRechecks = 1
)

// pageSizes are the sizes of pages, each a divisor of the one before, so that
// what a small page has read ends where another small one begins.
var pageSizes = []int{PageSize, 100, 50, 25, 5, 1}

// Scan is one walk through an athlete's whole history, newest activity first,
// until an empty page.
type Scan struct {
	ID string
	// Begun is when it began: whatever it finds was read at this time or later.
	Begun time.Time
	// First says that the athlete has nothing to look at before this scan: it
	// reports each page.
	First bool
	// Cutoff pins the scan: only activities that start before it are listed.
	Cutoff time.Time
	// Profiled says that the profile was read, or left to the inbox.
	Profiled bool
	// Windows are what is still to be read, the present one first.
	Windows []Window
	// Offset is how many entries of the present window have been passed, and Size
	// how many the next page has.
	Offset, Size int
	// Skipped counts the entries passed last that Strava failed to show.
	Skipped int
	// LastID and LastStart are those of the last activity that was read.
	LastID    int64
	LastStart time.Time
	// Repeats counts the pages in a row that repeated the one before, and EndReads
	// how often the end was read that came too early.
	Repeats, EndReads int
	// Holes are what could not be read.
	Holes []Hole
	// Pages counts the pages that had activities; Chunks and Activities are how
	// many were passed on, each activity once.
	Pages, Chunks, Activities int
	// Oldest is the start of the oldest activity found; zero at first, and where
	// the athlete's JoinedAt is: the estimate needs both.
	Oldest time.Time
	// RecentPages are the last pages that were read in the present window, in
	// order, at most maxRecentPages.
	RecentPages []PageRead
	// Confirmed says that what the completed scan missed was looked for again and
	// is gone.
	Confirmed bool
	// Sequence counts the reports of progress.
	Sequence int64
	// State is one of gatheringv1's.
	State      string
	WaitingFor string
	ResumesAt  time.Time
}

// Window is a stretch of the history that is read page by page: what starts at
// From or later and before To.
type Window struct {
	// From is zero for the beginning of the history.
	From, To time.Time
	// Probe says that the window is a hole, which may have become readable.
	Probe bool
}

// Hole is a place in a history that Strava fails to show, between two activities
// that it does show.
type Hole struct {
	// Older and Newer are the starts of these activities; zero without one.
	Older, Newer time.Time
	// Listed says that the page could be read, and only the activity could not.
	// Nothing has to go around it.
	Listed bool
}

// PageRead is a page that was read: when, and what had been passed before it.
type PageRead struct {
	At                                time.Time
	Offset, Pages, Chunks, Activities int
}

// windows are what a scan reads that goes around holes, which are sorted from
// the newest: what lies between them first, and then whether they still are.
func windows(holes []Hole, cutoff time.Time) []Window {
	var ws []Window
	to := cutoff
	for _, h := range holes {
		ws = append(ws, Window{From: h.Newer, To: to})
		to = h.Older.Add(time.Second)
	}
	ws = append(ws, Window{To: to})
	for _, h := range holes {
		ws = append(ws, h.window(cutoff))
	}
	return ws
}

// window is what lies in the hole.
func (h Hole) window(cutoff time.Time) Window {
	w := Window{To: cutoff, Probe: true}
	if !h.Older.IsZero() {
		w.From = h.Older.Add(time.Second)
	}
	if !h.Newer.IsZero() {
		w.To = h.Newer
	}
	return w
}

// rewind has the scan read everything from the first page on.
func (s *Scan) rewind(holes []Hole) {
	s.Windows = windows(holes, s.Cutoff)
	s.Offset, s.Size, s.Skipped, s.Repeats, s.EndReads = 0, PageSize, 0, 0, 0
	s.Pages, s.Chunks, s.Activities, s.Holes = 0, 0, 0, nil
	s.RecentPages, s.LastID, s.LastStart = nil, 0, time.Time{}
}

// untouched says that no page was read.
func (s Scan) untouched() bool { return s.Pages == 0 && s.Offset == 0 && len(s.Holes) == 0 }

// widest is the size of the largest page that may begin at an offset.
func widest(offset int) int {
	for _, size := range pageSizes {
		if offset%size == 0 {
			return size
		}
	}
	return 1
}

// narrower is the next smaller size of a page.
func narrower(size int) int {
	return pageSizes[min(slices.Index(pageSizes, size)+1, len(pageSizes)-1)]
}

// request is the next page to read.
func (s Scan) request() PageRequest {
	w := s.Windows[0]
	return PageRequest{From: w.From, To: w.To, Page: s.Offset/s.Size + 1, PerPage: s.Size}
}

// fresh are the page's activities that were not on the page before: late uploads
// push what follows them down.
func (s Scan) fresh(p Page) []gatheringv1.Activity {
	if s.LastID == 0 {
		return p.Activities
	}
	at := slices.IndexFunc(p.Activities, func(a gatheringv1.Activity) bool { return a.ID == s.LastID })
	return p.Activities[at+1:]
}

// repeats reports whether a whole page is the one before once more.
func (s Scan) repeats(p Page) bool {
	return s.Size > 1 && p.Sent > 0 && len(p.Activities) > 0 && len(s.fresh(p)) == 0
}

// startOf is when the activity starts.
func startOf(a gatheringv1.Activity) time.Time {
	start, err := time.Parse(time.RFC3339, a.StartDate)
	if err != nil {
		return time.Time{} // The decoder lets none pass.
	}
	return start
}

// takePage takes in a page that holds entries: chunks and activities are how
// many of them were passed on.
func (s *Scan) takePage(p Page, at time.Time, chunks, activities int) {
	s.RecentPages = append(slices.Clone(s.RecentPages), PageRead{at, s.Offset, s.Pages, s.Chunks, s.Activities})
	s.RecentPages = s.RecentPages[max(0, len(s.RecentPages)-maxRecentPages):]
	s.Holes = slices.Clone(s.Holes)
	if len(p.Activities) > 0 {
		s.closeHole(startOf(p.Activities[0]))
	}
	s.noteUnreadable(p)
	s.Offset += s.Size
	s.Size = widest(s.Offset)
	s.Pages++
	s.Chunks += chunks
	s.Activities += activities
	if n := len(p.Activities); n > 0 {
		last := p.Activities[n-1]
		s.LastID, s.LastStart = last.ID, startOf(last)
		if s.Oldest.IsZero() || s.LastStart.Before(s.Oldest) {
			s.Oldest = s.LastStart
		}
	}
}

// lastPageFull says that all entries of the page that was read last were new
// activities.
func (s Scan) lastPageFull() bool {
	if len(s.RecentPages) == 0 {
		return false
	}
	last := s.RecentPages[len(s.RecentPages)-1]
	return s.Activities-last.Activities == s.Offset-last.Offset
}

// closeHole notes the start of the activity after those that were skipped. The
// hole is probed at the end: Strava may have failed for another reason.
func (s *Scan) closeHole(older time.Time) {
	if s.Skipped > 0 {
		h := Hole{Older: older, Newer: s.LastStart}
		s.Windows = append(slices.Clone(s.Windows), h.window(s.Cutoff))
		s.Skipped = 0
	}
	// An unreadable entry may have ended the page before.
	for i := range s.Holes {
		if h := &s.Holes[i]; h.Listed && h.Older.IsZero() {
			h.Older = older
		}
	}
}

// noteUnreadable makes holes of the entries of the page that could not be read.
func (s *Scan) noteUnreadable(p Page) {
	newer, read := s.LastStart, 0
	for i := range p.Sent {
		if !slices.Contains(p.Unreadable, i) {
			newer = startOf(p.Activities[read])
			read++
			continue
		}
		h := Hole{Newer: newer, Listed: true}
		if read < len(p.Activities) {
			h.Older = startOf(p.Activities[read])
		}
		s.Holes = append(s.Holes, h)
	}
}

// nextWindow ends the present window and reports whether it was the last.
func (s *Scan) nextWindow() (last bool) {
	if s.Skipped > 0 {
		s.closeHole(time.Time{})
	}
	s.Windows = slices.Clone(s.Windows[1:])
	s.Offset, s.Size, s.Repeats = 0, PageSize, 0
	s.RecentPages, s.LastID, s.LastStart = nil, 0, time.Time{}
	return len(s.Windows) == 0
}

// keepHole ends the present window, a probe that failed.
func (s *Scan) keepHole() (last bool) {
	w := s.Windows[0]
	h := Hole{}
	if !w.From.IsZero() {
		h.Older = w.From.Add(-time.Second)
	}
	if w.To.Before(s.Cutoff) {
		h.Newer = w.To
	}
	s.Holes = append(slices.Clone(s.Holes), h)
	return s.nextWindow()
}

// goAround makes the page smaller that failed, or skips what is alone on it. It
// reports false when there is nothing more to go around.
func (s *Scan) goAround(failures int) bool {
	switch {
	case s.Size > 1:
		if s.Size < PageSize || failures >= narrowAfter {
			s.Size = narrower(s.Size)
		}
	case s.Skipped < maxSkipped:
		s.Offset++
		s.Skipped++
	default:
		s.Offset -= s.Skipped
		s.Skipped, s.Size = 0, widest(s.Offset)
		return false
	}
	return true
}

// giveUp leaves what is left of the history to the next scan.
func (s *Scan) giveUp() {
	s.Holes = append(slices.Clone(s.Holes), Hole{Newer: s.LastStart})
	s.Windows = nil
}

// covered are the stretches that the completed scan has read in full. The
// seconds in which a hole's neighbours start may belong to it.
func (s Scan) covered() []gatheringv1.Span {
	holes := slices.SortedFunc(slices.Values(s.Holes), byNewest)
	var spans []gatheringv1.Span
	to := s.Cutoff
	add := func(from time.Time) {
		if from.Before(to) {
			spans = append(spans, gatheringv1.Span{From: optional(from), To: optional(to)})
		}
	}
	for _, h := range holes {
		if !h.Newer.IsZero() {
			add(h.Newer.Add(time.Second))
		}
		if h.Older.IsZero() {
			return spans
		}
		if h.Older.Before(to) {
			to = h.Older
		}
	}
	add(time.Time{})
	return spans
}

// byNewest sorts holes from the newest.
func byNewest(a, b Hole) int {
	switch {
	case a.Newer.Equal(b.Newer):
		return 0
	case a.Newer.IsZero(): // Nothing is newer.
		return -1
	case b.Newer.IsZero():
		return 1
	}
	return b.Newer.Compare(a.Newer)
}

// lasting are the holes that the next scan goes around: those with an activity
// on either side. Others may have grown.
func (s Scan) lasting() []Hole {
	var out []Hole
	for _, h := range slices.SortedFunc(slices.Values(s.Holes), byNewest) {
		if !h.Listed && !h.Older.IsZero() && h.Newer.Sub(h.Older) > time.Second && len(out) < maxHoles {
			out = append(out, h)
		}
	}
	return out
}
