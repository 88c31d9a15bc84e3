package gathering

import (
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

const (
	// PageSize is how many activities a page has; Strava's largest.
	PageSize = 200
	// horizon is how far in the future an activity may start and still be found by
	// a scan: clocks of devices are wrong by years. About later starts a scan says
	// nothing.
	horizon = 5 * 365 * 24 * time.Hour
	// maxRecentPages is how many pages a scan can go back without starting over.
	maxRecentPages = 16
	// A page that fails narrowAfter times in a row is read in smaller pages, until
	// the entry that Strava fails to show is alone and can be skipped. After
	// maxSkipped in a row single entries are not the cause.
	narrowAfter = 3
	maxSkipped  = 3
	// maxHoles is how many holes are remembered for the next scan.
	maxHoles = 20
	// A doubtful end of the list is read up to maxEndReads times more, each time
	// after endDelay. If an empty page in place of a full one were believed, its
	// activities would be removed.
	endDelay    = 30 * time.Second
	maxEndReads = 2
)

// pageSizes are the sizes of pages. Each divides the one before, so that pages
// of different sizes meet without a gap.
var pageSizes = []int{PageSize, 100, 50, 25, 5, 1}

// Scan is one walk through an athlete's whole history, newest activity first,
// until an empty page.
type Scan struct {
	ID string
	// Begun is when the scan began: all its data was read at this time or later.
	Begun time.Time
	// First says that the athlete has nothing to look at before this scan. Such a
	// scan reports each page.
	First bool
	// Cutoff bounds the scan: it lists only activities that start before.
	Cutoff time.Time
	// Profiled says that the profile was read or left to the inbox.
	Profiled bool
	// Windows are still to be read, the present one first.
	Windows []Window
	// Offset is how many entries of the present window lie behind, and Size how
	// many the next page asks for, LargestSize at most.
	Offset, Size, LargestSize int
	// Skipped counts the entries right before Offset that Strava failed to show.
	Skipped int
	// LastID and LastStart are the id and start of the last activity that was
	// read.
	LastID    int64
	LastStart time.Time
	// EndReads is how often the present window's end was doubted.
	EndReads int
	// Holes are the stretches that could not be read.
	Holes []Hole
	// Pages counts the pages that had activities. Chunks and Activities count what
	// was published, each activity once.
	Pages, Chunks, Activities int
	// Oldest is the start of the oldest activity found; zero at first, and
	// whenever the athlete's JoinedAt is zero, since the estimate needs both.
	Oldest time.Time
	// RecentPages are the last pages read in the present window, in order, at most
	// maxRecentPages.
	RecentPages []PageRead
	// Confirmed says that the activities that the completed scan missed are gone,
	// by re-reads of a sample.
	Confirmed bool
	// Sequence counts the reports of progress.
	Sequence int64
	// State is one of gatheringv1's.
	State      string
	WaitingFor string
	ResumesAt  time.Time
}

// Window is a stretch of the history that is read page by page: the activities
// that start at From or later and before To.
type Window struct {
	// From is zero for the beginning of the history.
	From, To time.Time
	// Probe says that the window is a hole, which may have become readable. The
	// window includes the activities on either side; Neighbours are their ids, the
	// older first, 0 without one.
	Probe      bool
	Neighbours [2]int64
}

// Hole is a stretch of a history that Strava fails to show, between two
// activities that it shows.
type Hole struct {
	// Older and Newer are the starts of these two activities; zero without one.
	Older, Newer time.Time
	// OlderID and NewerID are their ids; 0 if not known.
	OlderID, NewerID int64
	// Listed says that Strava listed the activity, but without a readable id or
	// start. The next scan need not go around it.
	Listed bool
}

// PageRead is a page that was read: when, and the scan's counts before it.
type PageRead struct {
	At                                time.Time
	Offset, Pages, Chunks, Activities int
}

// hole returns the hole that the window probes, the reverse of [Hole.window].
func (w Window) hole(cutoff time.Time) Hole {
	h := Hole{Older: w.From, OlderID: w.Neighbours[0], NewerID: w.Neighbours[1]}
	if w.To.Before(cutoff) {
		h.Newer = w.To.Add(-time.Second)
	}
	return h
}

// windows returns the windows of a scan that goes around holes, which are
// sorted from the newest: first the stretches between them, and then a probe of
// each hole.
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

// window returns a window that probes the hole. It includes the seconds in
// which the activities on either side start, since the missing ones may start
// in the same second.
func (h Hole) window(cutoff time.Time) Window {
	w := Window{From: h.Older, To: cutoff, Probe: true, Neighbours: [2]int64{h.OlderID, h.NewerID}}
	if !h.Newer.IsZero() {
		w.To = h.Newer.Add(time.Second)
	}
	return w
}

// rewind takes the scan back to the first page.
func (s *Scan) rewind(holes []Hole) {
	s.Windows = windows(holes, s.Cutoff)
	s.Offset, s.Size, s.Skipped, s.EndReads = 0, s.LargestSize, 0, 0
	s.Pages, s.Chunks, s.Activities, s.Holes = 0, 0, 0, nil
	s.RecentPages, s.LastID, s.LastStart = nil, 0, time.Time{}
}

// untouched reports whether no page was read: the scan is at the beginning of
// its first window, which is the only one up to the cutoff that is no probe.
func (s Scan) untouched() bool {
	return s.Offset == 0 && s.EndReads == 0 && !s.Windows[0].Probe && s.Windows[0].To.Equal(s.Cutoff)
}

// widest is the size of the largest page that can begin at an offset.
func (s Scan) widest(offset int) int {
	for _, size := range pageSizes {
		if size <= s.LargestSize && offset%size == 0 {
			return size
		}
	}
	return 1
}

// narrower is the next smaller size of a page.
func narrower(size int) int {
	return pageSizes[min(slices.Index(pageSizes, size)+1, len(pageSizes)-1)]
}

// request asks for the next page.
func (s Scan) request() PageRequest {
	w := s.Windows[0]
	return PageRequest{From: w.From, To: w.To, Page: s.Offset/s.Size + 1, PerPage: s.Size}
}

// fresh returns the activities that were not on the previous page: late uploads
// move older activities to the next page.
func (s Scan) fresh(p Page) []gatheringv1.Activity {
	if s.LastID == 0 {
		return p.Activities
	}
	at := slices.IndexFunc(p.Activities, func(a gatheringv1.Activity) bool { return a.ID == s.LastID })
	return p.Activities[at+1:]
}

// unread returns the activities without the neighbours of a probed hole, which
// were read before.
func (s Scan) unread(list []gatheringv1.Activity) []gatheringv1.Activity {
	if !s.Windows[0].Probe {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(a gatheringv1.Activity) bool {
		return slices.Contains(s.Windows[0].Neighbours[:], a.ID)
	})
}

// endsShort reports whether the last page of the present window had fewer
// activities than it asked for.
func (s Scan) endsShort() bool {
	n := len(s.RecentPages)
	return n > 0 && s.Activities-s.RecentPages[n-1].Activities < s.Offset-s.RecentPages[n-1].Offset
}

// stalls reports whether a page that is not empty brings the scan no further: it
// is the one before once more, or holds only entries that cannot be read, right
// after another such entry. Such pages may have no end. A short page without new
// activities is the end of a list that late uploads have pushed down; a second one
// in a row is not.
func (s Scan) stalls(p Page) bool {
	if len(p.Activities) > 0 {
		n := len(s.RecentPages)
		twice := n > 0 && s.RecentPages[n-1].Activities == s.Activities
		return len(s.fresh(p)) == 0 && (p.Sent == s.Size || twice)
	}
	n := len(s.Holes)
	return p.Sent > 0 && n > 0 && s.Holes[n-1].Listed && s.Holes[n-1].Older.IsZero()
}

// startOf returns when the activity starts.
func startOf(a gatheringv1.Activity) time.Time {
	start, err := time.Parse(time.RFC3339, a.StartDate)
	if err != nil {
		return time.Time{} // The decoder lets no such activity pass.
	}
	return start
}

// takePage advances the scan by a page that is not empty. chunks and activities
// are how many of them were published from it.
func (s *Scan) takePage(p Page, at time.Time, chunks, activities int) {
	s.RecentPages = append(s.RecentPages, PageRead{at, s.Offset, s.Pages, s.Chunks, s.Activities})
	s.RecentPages = s.RecentPages[max(0, len(s.RecentPages)-maxRecentPages):]
	if len(p.Activities) > 0 {
		s.closeHole(startOf(p.Activities[0]), p.Activities[0].ID)
	}
	s.noteUnreadable(p)
	s.Offset += s.Size
	s.Size, s.EndReads = s.widest(s.Offset), 0
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

// closeHole makes a hole of the skipped entries, once the activity after them
// is known. The hole is probed at the end of the scan, since a passing outage
// may have caused it.
func (s *Scan) closeHole(older time.Time, olderID int64) {
	if s.Skipped > 0 {
		h := Hole{Older: older, Newer: s.newer(), OlderID: olderID, NewerID: s.LastID}
		if s.Windows[0].Probe {
			s.Holes = append(s.Holes, h)
		} else {
			s.Windows = append(s.Windows, h.window(s.Cutoff))
		}
		s.Skipped = 0
	}
	// An unreadable entry at the end of the previous page has its older side here.
	// Windows that are probed later do not follow it.
	for i := range s.Holes {
		if h := &s.Holes[i]; h.Listed && h.Older.IsZero() && !s.Windows[0].Probe {
			h.Older = older
		}
	}
}

// newer bounds the start of the next entry: it is the start of the activity
// that was read last, or else the end of the window; zero without either.
func (s Scan) newer() time.Time {
	if to := s.Windows[0].To; s.LastStart.IsZero() && to.Before(s.Cutoff) {
		return to
	}
	return s.LastStart
}

// noteUnreadable makes a hole of each unreadable entry of the page.
func (s *Scan) noteUnreadable(p Page) {
	newer, read := s.newer(), 0
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
	w := s.Windows[0]
	if s.closeHole(w.From, 0); w.From.IsZero() {
		// No later window closes such a hole.
		for i := range s.Holes {
			s.Holes[i].Listed = s.Holes[i].Listed && !s.Holes[i].Older.IsZero()
		}
	}
	s.Windows = s.Windows[1:]
	if s.Offset, s.Size = 0, s.LargestSize; len(s.Windows) > 0 && s.Windows[0].Probe {
		s.Size = 1 // So that one entry of a hole hides no other.
	}
	s.EndReads = 0
	s.RecentPages, s.LastID, s.LastStart = nil, 0, time.Time{}
	return len(s.Windows) == 0
}

// failProbe skips an entry of a hole that Strava still fails to show. After
// maxSkipped of them it leaves the rest of the hole. It reports whether the
// scan is over.
func (s *Scan) failProbe() (over bool) {
	if s.Size = 1; s.Skipped < maxSkipped {
		s.Offset++
		s.Skipped++
		return false
	}
	return s.nextWindow()
}

// goAround makes the page that failed smaller, or skips the single entry on it.
// It reports false once maxSkipped entries in a row were skipped in vain.
func (s *Scan) goAround(failures int) bool {
	switch {
	case s.Size > 1:
		if s.Size < s.LargestSize || failures >= narrowAfter {
			s.Size = narrower(s.Size)
		}
	case s.Skipped < maxSkipped:
		s.Offset++
		s.Skipped++
	default:
		s.Offset -= s.Skipped
		s.Skipped, s.Size = 0, s.widest(s.Offset)
		return false
	}
	return true
}

// giveUp ends the scan: the rest of the history and the holes that were still
// to be probed become holes.
func (s *Scan) giveUp() {
	s.Holes = append(s.Holes, Hole{Newer: s.newer()})
	for _, w := range s.Windows {
		if w.Probe {
			s.Holes = append(s.Holes, w.hole(s.Cutoff))
		}
	}
	s.Windows = nil
}

// covered returns the stretches that the completed scan has read in full. They
// exclude the seconds in which a hole's neighbours start, since they may hold
// missing activities.
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
	case a.Newer.IsZero(): // The hole begins the history.
		return -1
	case b.Newer.IsZero():
		return 1
	}
	return b.Newer.Compare(a.Newer)
}

// lasting returns the holes that the next scan goes around: those with an
// activity on either side, at most maxHoles. Holes at an end of the history may
// have grown.
func (s Scan) lasting() []Hole {
	var out []Hole
	for _, h := range slices.SortedFunc(slices.Values(s.Holes), byNewest) {
		if !h.Listed && !h.Older.IsZero() && h.Newer.Sub(h.Older) > time.Second && len(out) < maxHoles {
			out = append(out, h)
		}
	}
	return out
}
