package strava

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Athlete is a person with an account. Generate and LoadHistory return athletes
// with activities; one that is made by hand has none at first.
type Athlete struct {
	ID                  int64
	Firstname, Lastname string
	City, Country       string
	Sex                 string // "M", "F" or "" if not given
	CreatedAt           time.Time

	// history returns the activities at the start, in any order but always the
	// same. It may be slow. It may be nil.
	history func() []activity
}

// account is an athlete with what has happened since the start.
type account struct {
	Athlete
	changes map[int64]*activity // edited and new activities by id; nil means deleted
	corrupt map[int64]bool      // activities by id that Strava cannot read
	grant   *grant              // nil when the application is not connected
}

// keptHistories limits the histories in memory, so that ten thousand athletes
// need as much memory as a few dozen.
const keptHistories = 48

// population holds all accounts and the most recently built histories.
type population struct {
	ids      []int64 // in the order given
	accounts map[int64]*account
	built    map[int64][]activity
	order    []int64 // of built, oldest first
	nextID   int64   // of a new activity
}

func newPopulation(athletes []Athlete) population {
	p := population{
		accounts: make(map[int64]*account, len(athletes)),
		built:    map[int64][]activity{},
		nextID:   firstNewActivity,
	}
	for _, a := range athletes {
		if _, twice := p.accounts[a.ID]; twice {
			panic(fmt.Sprintf("strava: two athletes have the id %d", a.ID))
		}
		p.ids = append(p.ids, a.ID)
		p.accounts[a.ID] = &account{Athlete: a, changes: map[int64]*activity{}, corrupt: map[int64]bool{}}
	}
	return p
}

func (p *population) account(id int64) (*account, error) {
	a, ok := p.accounts[id]
	if !ok {
		return nil, fmt.Errorf("athlete %d: %w", id, ErrNotFound)
	}
	return a, nil
}

// connected returns how many athletes count toward the application's capacity.
func (p *population) connected() int {
	n := 0
	for _, a := range p.accounts {
		if a.grant != nil {
			n++
		}
	}
	return n
}

// activities returns the athlete's activities, newest first. The caller must not
// change them.
func (p *population) activities(a *account) []activity {
	if list, ok := p.built[a.ID]; ok {
		return list
	}
	var list []activity
	if a.history != nil {
		for _, act := range a.history() {
			if _, changed := a.changes[act.id]; !changed {
				list = append(list, act)
			}
		}
	}
	for _, act := range a.changes {
		if act != nil {
			list = append(list, *act)
		}
	}
	slices.SortFunc(list, func(a, b activity) int {
		return cmp.Or(cmp.Compare(b.start, a.start), cmp.Compare(b.id, a.id))
	})
	if len(p.order) == keptHistories {
		delete(p.built, p.order[0])
		p.order = p.order[1:]
	}
	p.built[a.ID] = list
	p.order = append(p.order, a.ID)
	return list
}

func (p *population) activity(a *account, id int64) (activity, error) {
	list := p.activities(a)
	i := slices.IndexFunc(list, func(act activity) bool { return act.id == id })
	if i < 0 {
		return activity{}, fmt.Errorf("activity %d of athlete %d: %w", id, a.ID, ErrNotFound)
	}
	return list[i], nil
}

// find returns an athlete and one of the athlete's activities.
func (p *population) find(athlete, id int64) (*account, activity, error) {
	a, err := p.account(athlete)
	if err != nil {
		return nil, activity{}, err
	}
	act, err := p.activity(a, id)
	return a, act, err
}

// publicActivity returns an activity that everyone may see, and its owner.
func (p *population) publicActivity(id int64) (*account, activity, error) {
	for _, owner := range p.ids {
		a := p.accounts[owner]
		if act, err := p.activity(a, id); err == nil && act.visibility == Everyone {
			return a, act, nil
		}
	}
	return nil, activity{}, fmt.Errorf("public activity %d: %w", id, ErrNotFound)
}

// change stores an edited or new activity, or a deletion if act is nil.
func (p *population) change(a *account, id int64, act *activity) {
	a.changes[id] = act
	if i := slices.Index(p.order, a.ID); i >= 0 {
		p.order = slices.Delete(p.order, i, i+1)
		delete(p.built, a.ID)
	}
}

// summaryAthlete is Strava's SummaryAthlete, as recorded.
type summaryAthlete struct {
	ID            int64   `json:"id"`
	Username      *string `json:"username"`
	ResourceState int     `json:"resource_state"`
	Firstname     string  `json:"firstname"`
	Lastname      string  `json:"lastname"`
	Bio           *string `json:"bio"`
	City          *string `json:"city"`
	State         *string `json:"state"`
	Country       *string `json:"country"`
	Sex           *string `json:"sex"`
	Premium       bool    `json:"premium"`
	Summit        bool    `json:"summit"`
	CreatedAt     string  `json:"created_at"`
	UpdatedAt     string  `json:"updated_at"`
	BadgeTypeID   int     `json:"badge_type_id"`
	Weight        decimal `json:"weight"`
	ProfileMedium string  `json:"profile_medium"`
	Profile       string  `json:"profile"`
	Friend        *bool   `json:"friend"`
	Follower      *bool   `json:"follower"`
}

// detailedAthlete is Strava's DetailedAthlete, as recorded.
type detailedAthlete struct {
	summaryAthlete
	Blocked               bool     `json:"blocked"`
	CanFollow             bool     `json:"can_follow"`
	FollowerCount         int      `json:"follower_count"`
	FriendCount           int      `json:"friend_count"`
	MutualFriendCount     int      `json:"mutual_friend_count"`
	AthleteType           int      `json:"athlete_type"`
	DatePreference        string   `json:"date_preference"`
	MeasurementPreference string   `json:"measurement_preference"`
	Clubs                 []string `json:"clubs"`
	PostableClubsCount    int      `json:"postable_clubs_count"`
	FTP                   *int     `json:"ftp"`
	Bikes                 []gear   `json:"bikes"`
	Shoes                 []gear   `json:"shoes"`
}

type gear struct {
	ID                string  `json:"id"`
	Primary           bool    `json:"primary"`
	Name              string  `json:"name"`
	Nickname          string  `json:"nickname"`
	ResourceState     int     `json:"resource_state"`
	Retired           bool    `json:"retired"`
	Distance          int     `json:"distance"`
	ConvertedDistance decimal `json:"converted_distance"`
}

func (a Athlete) summary() summaryAthlete {
	optional := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	return summaryAthlete{
		ID:            a.ID,
		ResourceState: 2,
		Firstname:     a.Firstname,
		Lastname:      a.Lastname,
		City:          optional(a.City),
		Country:       optional(a.Country),
		Sex:           optional(a.Sex),
		Premium:       a.ID%3 == 0,
		Summit:        a.ID%3 == 0,
		CreatedAt:     a.CreatedAt.UTC().Format(time.RFC3339),
		UpdatedAt:     a.CreatedAt.UTC().AddDate(0, 1, 0).Format(time.RFC3339),
		Weight:        decimal(55 + a.ID%40),
		ProfileMedium: "avatar/athlete/medium.png", // as Strava sends without a picture
		Profile:       "avatar/athlete/large.png",
	}
}

func (a Athlete) detailed() detailedAthlete {
	d := detailedAthlete{
		summaryAthlete:        a.summary(),
		CanFollow:             true,
		FollowerCount:         int(a.ID % 97),
		FriendCount:           int(a.ID % 89),
		AthleteType:           int(a.ID % 2),
		DatePreference:        "%m/%d/%Y",
		MeasurementPreference: "meters",
		Clubs:                 []string{},
		Bikes:                 []gear{{ID: "b1000", Primary: true, Name: "Road bike", Nickname: "Road bike", ResourceState: 2, Distance: 4_183_000, ConvertedDistance: 4183}},
		Shoes:                 []gear{{ID: "g1000", Primary: true, Name: "Shoes", Nickname: "", ResourceState: 2, Distance: 310_500, ConvertedDistance: 310.5}},
	}
	d.ResourceState = 3
	return d
}
