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
	// a scan: clocks of devices are wrong by years. Later starts are outside every
	// scan.
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
	// An unconfirmed end of the list is read up to maxEndReads times more, each
	// time after endDelay. If an empty page in place of a full one were
	// believed, its activities would be removed.
	endDelay    = 30 * time.Second
	maxEndReads = 2
)

// pageSizes are the sizes of pages. Each divides the one before.
var pageSizes = []int{PageSize, 100, 50, 25, 5, 1}

// Scan is one walk through an athlete's whole history, newest activity first,
// until an empty page.
type Scan struct {
	ID string
	// StartedAt is when the scan began: all its data was read at this time or
	// later.
	StartedAt time.Time
	// First says that no data of an earlier scan is kept, so the athlete sees
	// nothing yet. Such a scan reports each page.
	First bool
	// Cutoff bounds the scan: it lists only activities that start before it.
	Cutoff time.Time
	// ProfileDone says that the profile was read or left to the inbox.
	ProfileDone bool
	// Stretches are still to be read, the present one first.
	Stretches []Stretch
	// Offset is how many entries of the present stretch lie behind, hidden ones
	// included, and Size how many the next page asks for. A stretch begins with
	// LargestSize.
	Offset, Size, LargestSize int
	// Skipped counts the single entries since the last activity that Strava failed
	// to show. Unread says that activities may be missing right after that activity.
	Skipped int
	Unread  bool
	// LastID and LastStart are the id and start of the last activity that was
	// read.
	LastID    int64
	LastStart time.Time
	// EndReads is how often the present stretch's end was read again.
	EndReads int
	// Holes are the stretches that could not be read.
	Holes []Hole
	// Pages counts the pages that had activities. Chunks and Activities count what
	// was published, each activity once.
	Pages, Chunks, Activities int
	// Oldest is the start of the oldest activity found; zero at first, and
	// whenever the athlete's JoinedAt is zero, since the estimate needs both.
	Oldest time.Time
	// RecentPages are the last pages read in the present stretch, in order, at
	// most maxRecentPages.
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

// PageRead is a page that was read: when, and the scan's counts before it.
type PageRead struct {
	At                                time.Time
	Offset, Pages, Chunks, Activities int
}

// rewind takes the scan back to the first page.
func (s *Scan) rewind(holes []Hole) {
	s.Stretches = stretches(holes, s.Cutoff)
	s.Pages, s.Chunks, s.Activities, s.Holes = 0, 0, 0, nil
	s.LastID, s.LastStart = 0, time.Time{}
	s.firstPage(s.LargestSize)
}

// firstPage goes to the first page of the present stretch.
func (s *Scan) firstPage(size int) {
	s.Offset, s.Size, s.Skipped, s.Unread, s.EndReads, s.RecentPages = 0, size, 0, false, 0, nil
}

// untouched reports whether no page was read: the scan is at the beginning of
// its first stretch, which ends at the cutoff and is not the probe of a hole
// there.
func (s Scan) untouched() bool {
	return s.Offset == 0 && s.EndReads == 0 && !s.Stretches[0].Probe && s.Stretches[0].To.Equal(s.Cutoff)
}

// widest is the size of the largest page that can begin at an offset.
func (s Scan) widest(offset int) int {
	if offset == 0 {
		return s.LargestSize
	}
	return pageSizes[slices.IndexFunc(pageSizes, func(size int) bool { return offset%size == 0 })]
}

// narrower is the next smaller size of a page.
func narrower(size int) int {
	return pageSizes[min(slices.Index(pageSizes, size)+1, len(pageSizes)-1)]
}

// request asks for the next page.
func (s Scan) request() PageRequest {
	st := s.Stretches[0]
	return PageRequest{From: st.From, To: st.To, Page: s.Offset/s.Size + 1, PerPage: s.Size}
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
	if !s.Stretches[0].Probe {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(a gatheringv1.Activity) bool {
		return slices.Contains(s.Stretches[0].Neighbours[:], a.ID)
	})
}

// endsShort reports whether the last page of the present stretch had fewer
// activities than it asked for. The first of them may have been the last one of
// the page before.
func (s Scan) endsShort() bool {
	n := len(s.RecentPages)
	return n > 0 && s.Activities-s.RecentPages[n-1].Activities+1 < s.Offset-s.RecentPages[n-1].Offset
}

// stalls reports whether a page that is not empty brings the scan no further:
// it repeats the page before, or it holds only unreadable entries right after
// another unreadable one. There may be no end of such pages. A page with fewer
// activities than the one before, none of them new, is the end of a list that
// late uploads have pushed down.
func (s Scan) stalls(p Page) bool {
	if len(p.Activities) > 0 {
		n := len(s.RecentPages)
		return n > 0 && len(s.fresh(p)) == 0 && len(p.Activities) >= s.Activities-s.RecentPages[n-1].Activities
	}
	n := len(s.Holes)
	return p.Entries > 0 && n > 0 && s.Holes[n-1].Listed && s.Holes[n-1].Older.IsZero()
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
	around := s.Unread && len(p.Activities) > 0
	if len(p.Activities) > 0 {
		s.closeHole(startOf(p.Activities[0]), p.Activities[0].ID)
	}
	s.noteUnreadable(p)
	s.Offset += s.Size
	s.EndReads = 0
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
	switch larger := wider(s.Size); {
	case around && !s.beginAtLast(s.LargestSize):
		s.Unread = true // There may be more in this second.
	case s.Size < s.LargestSize && s.Offset >= larger:
		s.beginAtLast(larger)
	}
}

// resize asks for smaller pages. Their numbers do not tell how far the larger
// ones have got: a page lacks the activities that the application may not see,
// and Strava may skip a page that holds no others. So the stretch begins again,
// with the last activity if possible. Once something there was not read, the
// scan goes on instead: what it misses then lies in the same hole.
func (s *Scan) resize(size int) {
	if s.beginAtLast(size) {
		return
	}
	if s.Size = size; !s.Unread {
		s.firstPage(size)
	}
}

// beginAtLast shortens the present stretch, so that it begins in the second in
// which the last activity starts, and goes to its first page. It reports false
// if the stretch begins there already.
func (s *Scan) beginAtLast(size int) bool {
	st, to := &s.Stretches[0], s.LastStart.Add(time.Second)
	if s.LastStart.IsZero() || !to.Before(st.To) {
		return false
	}
	st.To = to
	s.firstPage(size)
	return true
}

// takeEmpty advances the scan by an empty page that is smaller than Strava's
// largest, and reports whether the scan is over. Such a page need not be the
// end: the application may see none of its activities.
func (s *Scan) takeEmpty() (over bool) {
	switch st := s.Stretches[0]; {
	case st.Probe && st.Neighbours[0] == 0: // The scan has been there already, up to the end.
		return s.failProbe()
	case !st.From.IsZero() && s.LastStart.Equal(st.From): // There is nothing older.
		s.Unread = true
		return s.nextStretch()
	case !s.Unread && s.beginAtLast(PageSize):
		return false
	}
	s.Unread = true
	s.Offset += s.Size
	if larger := wider(s.Size); s.Offset%larger == 0 {
		s.Size = larger
	}
	return false
}

// nextStretch ends the present stretch and reports whether it was the last.
func (s *Scan) nextStretch() (last bool) {
	st := s.Stretches[0]
	if s.closeHole(st.From, st.Neighbours[0]); st.From.IsZero() {
		// No later stretch closes such a hole.
		for i := range s.Holes {
			s.Holes[i].Listed = s.Holes[i].Listed && !s.Holes[i].Older.IsZero()
		}
	}
	s.Stretches = s.Stretches[1:]
	s.RecentPages, s.LastID, s.LastStart = nil, 0, time.Time{}
	if len(s.Stretches) == 0 {
		return true
	}
	s.firstPage(s.LargestSize)
	return false
}

// failProbe reacts to a page of a hole that Strava still fails to show. It goes
// on with single entries, since one must not hide another, and skips those that
// fail. After maxSkipped of them it leaves the rest of the hole. It reports
// whether the scan is over.
func (s *Scan) failProbe() (over bool) {
	switch {
	case s.Size > 1:
		s.resize(1)
	case s.Skipped < maxSkipped:
		s.skip()
	default:
		return s.nextStretch()
	}
	return false
}

// skip goes past the single entry that Strava failed to show.
func (s *Scan) skip() {
	s.Offset++
	s.Skipped++
	s.Unread = true
}

// probed reports whether the page ends the probe of a hole: it shows the
// activity after the hole.
func (s Scan) probed(p Page) bool {
	st := s.Stretches[0]
	return st.Probe && slices.ContainsFunc(p.Activities, func(a gatheringv1.Activity) bool { return a.ID == st.Neighbours[0] })
}

// goAround makes the page that failed smaller, or skips the single entry on it.
// It reports false once maxSkipped entries in a row were skipped in vain.
func (s *Scan) goAround(failures int) bool {
	switch {
	case s.Size > 1:
		if s.Size < s.LargestSize || failures >= narrowAfter {
			s.resize(narrower(s.Size))
		}
	case s.Skipped < maxSkipped:
		s.skip()
	default:
		if !s.beginAtLast(s.LargestSize) {
			s.firstPage(s.LargestSize)
		}
		return false
	}
	return true
}
