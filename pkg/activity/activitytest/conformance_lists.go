package activitytest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// The history is larger than a page of DynamoDB, which has 1 MB, and than a
// page of a query with a filter.
func largeHistory(t *testing.T, store Subject, by, _ activity.Authorization) {
	const n = 600
	long := strings.Repeat("x", 2_500)
	var many []gatheringv1.Activity
	for i := range n {
		many = append(many, Activity(int64(i+1), i, fmt.Sprint(i, long)))
	}
	many[0].SportType = "Curling"
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), many...)))
	slices.Reverse(many)
	same(t, list(t, store, by, activity.Everything(), "", n+1), many)
	same(t, list(t, store, by, activity.Everything(), "Curling", 2), many[n-1:])
	records, err := store.Records(t.Context(), by.AthleteID)
	kittest.Must(t, err)
	if len(records) != n {
		t.Errorf("%d records", len(records))
	}
	kittest.Must(t, store.erase(t.Context(), by))
	if left := store.Held(by.AthleteID); left != 0 {
		t.Errorf("%d items are left", left)
	}
}

func totalOrder(t *testing.T, store Subject, by, _ activity.Authorization) {
	// Ids whose decimal order differs from their order as text, many in the
	// same second.
	all := []gatheringv1.Activity{
		Activity(7, 3, "7@3"), Activity(1_000_000_000_000_000_000, 2, "1e18@2"), Activity(99, 2, "99@2"),
		Activity(10, 2, "10@2"), Activity(9, 2, "9@2"), Activity(500, 1, "500@1"),
	}
	shuffled := slices.Clone(all)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), shuffled...)))
	same(t, list(t, store, by, activity.Everything(), "", 100), all)
	for limit := range len(all) {
		same(t, list(t, store, by, activity.Everything(), "", limit+1), all[:limit+1])
	}
	positions := []activity.Position{{Start: activity.MinStart}, {Start: activity.MaxStart}}
	for _, a := range all {
		p, err := activity.PositionOf(a)
		kittest.Must(t, err)
		positions = append(positions, p, activity.Position{Start: p.Start}, activity.Position{Start: p.Start, ID: p.ID - 1}, activity.Position{Start: p.Start, ID: p.ID + 1})
	}
	for _, from := range positions {
		for _, to := range positions {
			in := activity.Range{From: from, To: to}
			var want []gatheringv1.Activity
			for _, a := range all {
				if p, _ := activity.PositionOf(a); in.Contains(p) {
					want = append(want, a)
				}
			}
			same(t, list(t, store, by, in, "", 100), want)
		}
	}
}

func sportType(t *testing.T, store Subject, by, _ activity.Authorization) {
	var all []gatheringv1.Activity
	for i := range 60 {
		a := Activity(int64(i+1), i, fmt.Sprint(i))
		if i%20 == 0 {
			a.SportType = "GravelRide"
		}
		all = append(all, a)
	}
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), all...)))
	same(t, names(list(t, store, by, activity.Everything(), "GravelRide", 2)), []string{"40", "20"})
	same(t, names(list(t, store, by, activity.Everything(), "GravelRide", 3)), []string{"40", "20", "0"})
	same(t, names(list(t, store, by, activity.Everything(), "GravelRide", 100)), []string{"40", "20", "0"})
	if got := list(t, store, by, activity.Everything(), "Curling", 100); len(got) != 0 {
		t.Errorf("got %v", names(got))
	}
}

func partOfName(t *testing.T, store Subject, by, _ activity.Authorization) {
	var all []gatheringv1.Activity
	for i, name := range []string{"Morning Run", "Évening", "morning ride", "", "mornin'"} {
		all = append(all, Activity(int64(i+1), i, name))
	}
	all[2].SportType = "Ride"
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), all...)))
	for _, tc := range []struct {
		selection activity.Selection
		want      []string
	}{
		{activity.Selection{Name: "MORNING", Limit: 9}, []string{"morning ride", "Morning Run"}},
		{activity.Selection{Name: "MORNING", Limit: 1}, []string{"morning ride"}},
		{activity.Selection{Name: "morning", SportType: "Run", Limit: 9}, []string{"Morning Run"}},
		{activity.Selection{Name: "évé", Limit: 9}, nil},
		{activity.Selection{Name: "éve", Limit: 9}, []string{"Évening"}},
	} {
		tc.selection.In = activity.Everything()
		found, err := store.List(t.Context(), by, tc.selection)
		kittest.Must(t, err)
		same(t, names(activities(found)), tc.want)
	}
}

func endOfSearch(t *testing.T, store Subject, by, _ activity.Authorization) {
	const n = activity.SearchDepth + 100
	var many []gatheringv1.Activity
	for i := range n {
		many = append(many, Activity(int64(i+1), i, "a ride"))
	}
	many[0].SportType = "Curling"
	kittest.Must(t, store.Put(t.Context(), reading(by, At(0), many...)))
	s := activity.Selection{In: activity.Everything(), SportType: "Curling", Limit: 1}
	for _, want := range [][]gatheringv1.Activity{nil, many[:1]} {
		page, err := store.List(t.Context(), by, s)
		kittest.Must(t, err)
		same(t, activities(page), want)
		if page.Next == nil {
			s.In.To = activity.Position{}
			continue
		}
		if !page.Next.Less(s.In.To) {
			t.Fatalf("from %v on to %v", s.In.To, page.Next)
		}
		s.In.To = *page.Next
	}
	if s.In.To != (activity.Position{}) {
		t.Errorf("there is more at %v", s.In.To)
	}
}
