package sim

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// plan is everything that a seed determines before a run begins. Shrinking takes
// actors and injections out of it.
type plan struct {
	Seed uint64
	// Athletes is how many people have an account at Strava.
	Athletes int
	// Actors are the names of those who act.
	Actors []string
	// Storms are the times in which people act and things fail. After each comes a
	// calm, in which everything must come to rest.
	Storms     []span
	Injections []injection
	// Skew is how far the clocks of instances are off at most.
	Skew time.Duration
	// Capacity is the configured athlete capacity.
	Capacity int
	Strava   strava.Settings
}

// span is a time, counted from the beginning of the run.
type span struct{ From, To time.Duration }

const (
	day = 24 * time.Hour
	// month is how long a run lasts.
	month = 30 * day
	// calm is how long the system has to come to rest: 48 h for a deletion that no
	// webhook reported, and 6 h for the operator's actions at its beginning.
	calm = 54 * time.Hour
)

// newPlan draws the plan of a seed. It first draws which failures the seed has
// at all, so that some seeds have few and others many.
func newPlan(seed uint64) plan {
	r := rng(seed, "plan", 0)
	p := plan{
		Seed: seed, Athletes: 1 + r.IntN(3), Capacity: 10, Skew: time.Duration(r.IntN(16)) * time.Second,
		Strava: strava.Settings{
			Rotation:            []strava.Rotation{strava.RotateAlways, strava.RotateNever, strava.RotateRandom}[r.IntN(3)],
			SilentRevoke:        r.IntN(2) == 0,
			Lenient:             r.IntN(2) == 0,
			CapacityAtAuthorize: r.IntN(2) == 0,
			DeliveryDelay:       strava.Duration(r.IntN(3)) * strava.Duration(time.Second),
			RetryInterval:       strava.Duration(2 * time.Minute),
		},
	}
	if r.IntN(4) == 0 {
		p.Capacity = max(p.Athletes-1, 1)
	}
	p.Strava.Capacity = p.Capacity
	for at := time.Duration(0); at < month; {
		storm := min(time.Duration(2+r.IntN(12))*day, month-calm-at)
		if month-calm-(at+storm+calm) < 2*day {
			storm = month - calm - at // The last one.
		}
		p.Storms = append(p.Storms, span{at, at + storm})
		at += storm + calm
	}
	p.Actors = drawActors(r, p.Athletes)
	p.drawInjections(r)
	return p
}

// severities are how often a call fails, and how long that lasts at most.
var severities = []struct {
	rate float64
	life time.Duration
}{{0.005, month}, {0.02, 14 * day}, {0.1, 5 * day}, {0.4, 18 * time.Hour}, {1, 2 * time.Hour}}

// drawInjections draws the failures in the storms: each of one kind, at one place,
// at a port, or in a boundary. Some seeds have a few of them, others many.
func (p *plan) drawInjections(r *rand.Rand) {
	c := catalogue()
	places := slices.DeleteFunc(slices.Sorted(maps.Keys(c)), func(place string) bool { return len(c[place]) == 0 })
	p.focus(c, places, r)
	for range r.IntN([]int{1, 8, 40}[r.IntN(3)]) {
		place := places[r.IntN(len(places))]
		t := injection{Kind: c[place][r.IntN(len(c[place]))], Where: place}
		severity := severities[r.IntN(len(severities))]
		switch r.IntN(4) {
		case 0, 1:
			t.Where = portOf(place)
		case 2:
			t.Where = boundaryOf(place)
		}
		t.Rate = severity.rate
		if slices.Contains([]kind{killBefore, killAfter, cut}, t.Kind) {
			t.Rate = min(t.Rate, 0.1)
		}
		storm := p.Storms[r.IntN(len(p.Storms))]
		length := storm.To - storm.From
		t.From = storm.From + time.Duration(r.Int64N(int64(length)))
		t.To = min(storm.To, t.From+time.Duration(r.Int64N(int64(min(severity.life, length)))))
		p.Injections = append(p.Injections, t)
	}
	slices.SortStableFunc(p.Injections, func(a, b injection) int { return cmp.Compare(a.From, b.From) })
	for i := range p.Injections {
		p.Injections[i].Number = i
	}
}

// focus adds a failure of the first calls at each of three places, which are
// others in each seed: so some hundred seeds have every kind of failure at every
// place.
func (p *plan) focus(c map[string][]kind, places []string, r *rand.Rand) {
	var pairs []pair
	for _, place := range places {
		for _, k := range c[place] {
			pairs = append(pairs, pair{place, k})
		}
	}
	const count, step = 3, 331 // A prime: neighbours are of different places.
	for n := range uint64(count) {
		one := pairs[(p.Seed*count+n)*step%uint64(len(pairs))]
		storm := p.Storms[r.IntN(len(p.Storms))]
		from := storm.From + time.Duration(r.Int64N(int64(storm.To-storm.From)))
		p.Injections = append(p.Injections, injection{
			Kind: one.Kind, Where: one.Place, Rate: 1, Times: 1 + r.IntN(4), From: from / 2, To: p.Storms[len(p.Storms)-1].To,
		})
	}
}

// portOf returns the beginning that the names of all places of a port, or of
// another part of the cloud, have in common.
func portOf(place string) string {
	if i := strings.LastIndexAny(place, ". "); i >= 0 {
		return place[:i+1]
	}
	return place
}

// boundaryOf returns the beginning that the names of all ports of a boundary have
// in common.
func boundaryOf(place string) string {
	if i := strings.IndexAny(place, ". "); i >= 0 {
		return place[:i+1]
	}
	return place
}

// storm reports whether people act and things fail now.
func (p *plan) storm(since time.Duration) bool {
	return slices.ContainsFunc(p.Storms, func(s span) bool { return since >= s.From && since < s.To })
}
