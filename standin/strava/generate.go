package strava

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
	_ "time/tzdata" // the same zones on every machine
)

// SyntheticPolyline begins every generated polyline.
const SyntheticPolyline = "SYNTHETICPOLYLINE"

const (
	firstGeneratedAthlete  = 80_000_001
	firstGeneratedActivity = 20_000_000_000
	activityIDsPerAthlete  = 10_000
)

// Generate returns n athletes with ids from 80000001. They depend only on the
// seed and the day of until. Their histories have between a dozen and about
// 1,500 activities and end before that day. An athlete needs a few hundred
// bytes of memory until a call reads the history.
//
// Every history has activities that are visible to everyone, to followers and to
// the athlete only, several time zones, two activities with one start time, and
// activities whose local and universal times are in different years.
func Generate(seed uint64, n int, until time.Time) []Athlete {
	until = until.UTC().Truncate(24 * time.Hour)
	athletes := make([]Athlete, n)
	for i := range athletes {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		id := int64(firstGeneratedAthlete + i)
		home := pick(rng, homes)
		plan := historyPlan{
			athlete:    id,
			firstID:    firstGeneratedActivity + int64(i)*activityIDsPerAthlete,
			count:      int(min(max(math.Exp(4.7+0.9*rng.NormFloat64()), 12), 1500)),
			perWeek:    1 + 5*rng.Float64(),
			until:      until,
			home:       home.zone,
			favourites: []sport{pick(rng, sports[:favouriteSports]), pick(rng, sports[:favouriteSports])},
			heart:      rng.IntN(4) > 0,
			device:     pick(rng, devices),
		}
		athletes[i] = Athlete{
			ID:        id,
			Firstname: pick(rng, firstnames),
			Lastname:  pick(rng, lastnames),
			City:      home.city,
			Country:   home.country,
			Sex:       pick(rng, []string{"M", "F", ""}),
			CreatedAt: until.AddDate(-10, 0, -rng.IntN(900)),
			history: func() []activity {
				return plan.activities(rand.New(rand.NewPCG(seed+1, uint64(i))))
			},
		}
	}
	return athletes
}

// historyPlan describes one athlete's history.
type historyPlan struct {
	athlete, firstID int64
	count            int
	perWeek          float64
	until            time.Time
	home             string
	favourites       []sport
	heart            bool
	device           string
}

func (p historyPlan) activities(rng *rand.Rand) []activity {
	days := max(int(7*float64(p.count)/p.perWeek), 30)
	home := mustZone(p.home)
	var all []facts
	for range p.count {
		// At least two days before: in the west a local day ends after the
		// universal one.
		day := p.until.AddDate(0, 0, -2-rng.IntN(days))
		z := home
		if rng.IntN(12) == 0 {
			z = mustZone(pick(rng, homes).zone)
		}
		all = append(all, p.facts(rng, z, day, 5*3600+rng.IntN(16*3600)))
	}
	all = append(all, p.newYears(rng, home, days)...)

	// A second device recorded the same activity.
	twin := all[0]
	twin.device, twin.power = "Apple Watch Series 7", false
	all = append(all, twin)

	slices.SortStableFunc(all, func(a, b facts) int { return a.start.Compare(b.start) })
	all[0].visibility, all[1].visibility, all[2].visibility = OnlyMe, FollowersOnly, Everyone
	list := make([]activity, len(all))
	for i, f := range all {
		f.id = p.firstID + int64(i)
		list[len(list)-1-i] = f.activity(rng)
	}
	return list
}

// newYears returns an activity for each turn of the year in the history. Its
// local and universal dates are in different years, except in a zone at
// universal time.
func (p historyPlan) newYears(rng *rand.Rand, z zone, days int) (activities []facts) {
	first := p.until.AddDate(0, 0, -days)
	last := p.until.AddDate(0, 0, -2).Year()
	// A short history gets one before its beginning.
	for year := min(first.Year()+1, last); year <= last; year++ {
		midnight := time.Date(year, 1, 1, 0, 0, 0, 0, z.location)
		f := p.facts(rng, z, midnight, 0)
		if _, offset := midnight.Zone(); offset < 0 {
			f.start = midnight.Add(-20 * time.Minute)
		} else {
			f.start = midnight.Add(10 * time.Minute)
		}
		f.hiddenStart = false
		f.name = "New Year's " + f.sport.noun
		activities = append(activities, f)
	}
	return activities
}

// facts generates one activity on a local day, a number of seconds after
// midnight.
func (p historyPlan) facts(rng *rand.Rand, z zone, day time.Time, seconds int) facts {
	s := pick(rng, p.favourites)
	if rng.IntN(6) == 0 {
		s = pick(rng, sports)
	}
	size := math.Exp(0.45 * rng.NormFloat64())
	moving := int(min(max(s.minutes*60*size, 300), 30_000))
	f := facts{
		athlete: p.athlete,
		sport:   s,
		start:   time.Date(day.Year(), day.Month(), day.Day(), 0, 0, seconds, 0, z.location),
		zone:    z,
		moving:  moving,
		elapsed: moving + rng.IntN(moving/8+1),
		manual:  rng.IntN(60) == 0,
		trainer: s.indoor || s.ride && rng.IntN(15) == 0,
		commute: rng.IntN(20) == 0,
		heart:   p.heart && rng.IntN(10) > 0,
		power:   s.ride && rng.IntN(3) > 0,
		device:  p.device,
		floats:  rng.IntN(8) == 0,
	}
	if s.speed > 0 {
		speed := s.speed * (0.85 + 0.3*rng.Float64())
		f.distance = math.Round(10*speed*float64(moving)) / 10
		f.gain = math.Round(f.distance * s.climb * rng.Float64())
	}
	f.gps = s.speed > 0 && !f.trainer && !f.manual
	f.hiddenStart = f.gps && rng.IntN(40) == 0
	switch n := rng.IntN(100); {
	case n < 3:
		f.visibility = OnlyMe
	case n < 15:
		f.visibility = FollowersOnly
	default:
		f.visibility = Everyone
	}
	f.workoutType = pick(rng, []string{"", "null", "0", "0", s.workout})
	part := "Night"
	switch hour := seconds / 3600; {
	case hour >= 5 && hour < 12:
		part = "Morning"
	case hour >= 12 && hour < 17:
		part = "Afternoon"
	case hour >= 17 && hour < 22:
		part = "Evening"
	}
	f.name = part + " " + s.noun
	if rng.IntN(10) == 0 {
		f.name = pick(rng, oddNames)
	}
	return f
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }
