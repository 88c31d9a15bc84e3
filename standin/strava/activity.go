package strava

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
)

// The values of an activity's visibility.
const (
	Everyone      = "everyone"
	FollowersOnly = "followers_only"
	OnlyMe        = "only_me"
)

// firstNewActivity is the id of the first activity made after the start; it is
// above those of recorded and generated ones, as a later activity's id is.
const firstNewActivity = 40_000_000_000

// activity is a SummaryActivity with what the stand-in needs to know about it.
type activity struct {
	id         int64
	start      int64  // Unix seconds
	ready      int64  // Unix seconds from which Strava has processed it
	visibility string // one of Everyone, FollowersOnly, OnlyMe
	raw        []byte // the JSON object, byte for byte as it is served
}

// decimal is a number that keeps a decimal point in JSON even when it is
// whole, as Strava writes some of its integers: 474287.0.
type decimal float64

// MarshalJSON implements json.Marshaler.
func (d decimal) MarshalJSON() ([]byte, error) { return appendDecimal(nil, float64(d)), nil }

func appendDecimal(b []byte, v float64) []byte {
	if v == math.Trunc(v) {
		return strconv.AppendFloat(b, v, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// LoadHistory reads a JSON array of SummaryActivity, as GET /athlete/activities
// returns it, into an athlete whose id is the one in the activities. They are
// served byte for byte as they are in the array.
func LoadHistory(r io.Reader) (Athlete, error) {
	var elements []json.RawMessage
	if err := json.NewDecoder(r).Decode(&elements); err != nil {
		return Athlete{}, fmt.Errorf("read history: %w", err)
	}
	if len(elements) == 0 {
		return Athlete{}, fmt.Errorf("read history: no activity to take the athlete from: %w", ErrInvalid)
	}
	athlete := Athlete{Firstname: "Robin", Lastname: "Recorded"}
	list := make([]activity, len(elements))
	for i, raw := range elements {
		act, owner, err := parseActivity(raw)
		if err != nil {
			return Athlete{}, fmt.Errorf("read history: activity %d: %w", i, err)
		}
		if athlete.ID == 0 {
			athlete.ID = owner
		}
		if owner != athlete.ID {
			return Athlete{}, fmt.Errorf("read history: activity %d belongs to athlete %d, not %d: %w", i, owner, athlete.ID, ErrInvalid)
		}
		list[i] = act
	}
	oldest := slices.MinFunc(list, func(a, b activity) int { return int(a.start - b.start) })
	athlete.CreatedAt = time.Unix(oldest.start, 0).UTC()
	athlete.history = func() []activity { return list }
	return athlete, nil
}

func parseActivity(raw []byte) (act activity, athlete int64, err error) {
	var fields struct {
		ID         int64     `json:"id"`
		StartDate  time.Time `json:"start_date"`
		Visibility string    `json:"visibility"`
		Private    bool      `json:"private"`
		Athlete    struct {
			ID int64 `json:"id"`
		} `json:"athlete"`
	}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return activity{}, 0, err
	}
	if fields.ID == 0 || fields.Athlete.ID == 0 || fields.StartDate.IsZero() {
		return activity{}, 0, fmt.Errorf("id, athlete.id or start_date is missing: %w", ErrInvalid)
	}
	if fields.Visibility == "" { // not in Strava's swagger
		fields.Visibility = Everyone
		if fields.Private {
			fields.Visibility = OnlyMe
		}
	}
	return activity{
		id: fields.ID, start: fields.StartDate.Unix(), visibility: fields.Visibility, raw: raw,
	}, fields.Athlete.ID, nil
}

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// setMembers returns object with the members set, or removed where the value
// is nil; all others keep their bytes and their places.
func setMembers(object []byte, changes ...member) []byte {
	members := objectMembers(object)
	for _, c := range changes {
		i := slices.IndexFunc(members, func(m member) bool { return m.name == c.name })
		switch {
		case c.value == nil && i >= 0:
			members = slices.Delete(members, i, i+1)
		case c.value == nil:
		case i >= 0:
			members[i] = c
		default:
			members = append(members, c)
		}
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func objectMembers(object []byte) []member {
	d := json.NewDecoder(bytes.NewReader(object))
	var members []member
	_, err := d.Token() // {
	for err == nil && d.More() {
		var name json.Token
		var m member
		if name, err = d.Token(); err == nil {
			m.name = name.(string)
			err = d.Decode(&m.value)
		}
		members = append(members, m)
	}
	if err != nil {
		panic(err) // activities were decoded once when they came in
	}
	return members
}

// quote renders s as a JSON string without escaping HTML, as Strava does.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string can always be encoded
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Activity is what a test wants to know about one activity.
type Activity struct {
	ID         int64           `json:"id"`
	Start      time.Time       `json:"start"`
	Visibility string          `json:"visibility"`
	Summary    json.RawMessage `json:"summary"` // as served
}

// Athletes returns everybody with an account, in the order they were given.
func (s *Server) Athletes() []AthleteStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]AthleteStatus, 0, len(s.population.ids))
	for _, id := range s.population.ids {
		a := s.population.accounts[id]
		status := AthleteStatus{ID: id, Firstname: a.Firstname, Lastname: a.Lastname}
		if a.grant != nil {
			status.Connected, status.Scope = true, a.grant.scope.String()
		}
		list = append(list, status)
	}
	return list
}

// AthleteStatus is an athlete and the application's connection to them.
type AthleteStatus struct {
	ID        int64  `json:"id"`
	Firstname string `json:"firstname"`
	Lastname  string `json:"lastname"`
	Connected bool   `json:"connected"`
	Scope     string `json:"scope"` // accepted, comma-separated
}

// Activities returns all of an athlete's activities, newest first, whatever
// their visibility. It returns ErrNotFound for an unknown athlete.
func (s *Server) Activities(athlete int64) ([]Activity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return nil, err
	}
	list := []Activity{}
	for _, act := range s.population.activities(a) {
		list = append(list, Activity{act.id, time.Unix(act.start, 0).UTC(), act.visibility, act.raw})
	}
	return list, nil
}

// NewActivity describes an activity that an athlete records. Everything may be left out.
type NewActivity struct {
	Name        string    `json:"name"`
	SportType   string    `json:"sport_type"`   // default Ride
	Start       time.Time `json:"start_date"`   // default: it ended now
	Timezone    string    `json:"timezone"`     // IANA name, default Europe/Berlin
	Distance    float64   `json:"distance"`     // metres, default 25,000
	ElapsedTime int       `json:"elapsed_time"` // seconds, default 3,600
	MovingTime  int       `json:"moving_time"`  // seconds, default the elapsed time
	Gain        float64   `json:"total_elevation_gain"`
	Visibility  string    `json:"visibility"` // default Everyone
	// ReadyAfter is how long Strava takes to process it: until then it is in no
	// list and answers 404, although the create event is out (seen at Strava).
	ReadyAfter Duration `json:"ready_after"`
}

// AddActivity lets an athlete record an activity and returns its id. Strava
// sends the create event where the granted scope lets the application see it.
func (s *Server) AddActivity(athlete int64, n NewActivity) (int64, error) {
	setDefault(&n.SportType, "Ride")
	setDefault(&n.Name, "Evening "+n.SportType)
	setDefault(&n.Timezone, "Europe/Berlin")
	setDefault(&n.Distance, 25_000)
	setDefault(&n.ElapsedTime, 3600)
	setDefault(&n.MovingTime, n.ElapsedTime)
	setDefault(&n.Visibility, Everyone)
	z, err := loadZone(n.Timezone)
	if err != nil || !validVisibility(n.Visibility) {
		return 0, fmt.Errorf("new activity in zone %q visible to %q: %w", n.Timezone, n.Visibility, ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return 0, err
	}
	now := s.clock.Now()
	if n.Start.IsZero() {
		n.Start = now.Add(-time.Duration(n.ElapsedTime) * time.Second)
	}
	id := s.population.nextID
	s.population.nextID++
	f := facts{
		id: id, athlete: athlete, name: n.Name, sport: sportOf(n.SportType), start: n.Start.Truncate(time.Second), zone: z,
		distance: n.Distance, gain: n.Gain, elapsed: n.ElapsedTime, moving: n.MovingTime,
		visibility: n.Visibility, gps: true, heart: true, device: "Wahoo ELEMNT BOLT", workoutType: "null",
	}
	act := f.activity(s.rng)
	act.ready = now.Add(time.Duration(n.ReadyAfter)).Unix()
	s.population.change(a, id, &act)
	if a.grant.sees(act) {
		s.emit(activityEvent("create", id, athlete))
	}
	return id, nil
}

func validVisibility(v string) bool { return v == Everyone || v == FollowersOnly || v == OnlyMe }

// Edit is what an athlete changes about an activity; nil fields stay.
type Edit struct {
	Name       *string `json:"name"`
	SportType  *string `json:"sport_type"`
	Visibility *string `json:"visibility"`
}

// EditActivity changes an activity as its athlete would. Title, type and
// private changes make one update event; a change between everyone and
// followers makes none. For an application without activity:read_all an
// activity that becomes private is deleted, and created when it comes back.
func (s *Server) EditActivity(athlete, id int64, e Edit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return err
	}
	before, err := s.population.activity(a, id)
	if err != nil {
		return err
	}
	after := before
	var changes []member
	updates := map[string]string{}
	if e.Name != nil {
		changes = append(changes, member{"name", quote(*e.Name)})
		updates["title"] = *e.Name
	}
	if e.SportType != nil {
		sport := sportOf(*e.SportType)
		changes = append(changes, member{"type", quote(sport.legacy)}, member{"sport_type", quote(sport.name)})
		updates["type"] = sport.legacy
	}
	if e.Visibility != nil {
		if !validVisibility(*e.Visibility) {
			return fmt.Errorf("visibility %q: %w", *e.Visibility, ErrInvalid)
		}
		after.visibility = *e.Visibility
		private := strconv.FormatBool(after.visibility == OnlyMe)
		changes = append(changes, member{"private", []byte(private)}, member{"visibility", quote(after.visibility)})
		if (before.visibility == OnlyMe) != (after.visibility == OnlyMe) {
			updates["private"] = private
		}
	}
	after.raw = setMembers(before.raw, changes...)
	s.population.change(a, id, &after)
	switch sawBefore, seesAfter := a.grant.sees(before), a.grant.sees(after); {
	case sawBefore && !seesAfter:
		s.emit(activityEvent("delete", id, athlete))
	case !sawBefore && seesAfter:
		s.emit(activityEvent("create", id, athlete))
	case seesAfter && len(updates) > 0:
		event := activityEvent("update", id, athlete)
		event.Updates = updates
		s.emit(event)
	}
	return nil
}

// SetFields changes fields of an activity's summary without any event, as a
// change of distance, gear or description does; a null value removes the field.
func (s *Server) SetFields(athlete, id int64, fields map[string]json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return err
	}
	before, err := s.population.activity(a, id)
	if err != nil {
		return err
	}
	var changes []member
	for name, value := range fields {
		if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
			value = nil
		}
		changes = append(changes, member{name, value})
	}
	after, owner, err := parseActivity(setMembers(before.raw, changes...))
	if err != nil || owner != athlete || after.id != id {
		return fmt.Errorf("fields of activity %d: %w", id, ErrInvalid)
	}
	after.ready = before.ready
	s.population.change(a, id, &after)
	return nil
}

// CorruptActivity makes an activity one that Strava cannot read: until
// RepairActivity, each page of a list that holds it and each read of it answer
// 500 {"message":"error"}. Pages without it are answered as ever. It returns
// ErrNotFound for an unknown athlete or activity.
func (s *Server) CorruptActivity(athlete, id int64) error { return s.setCorrupt(athlete, id, true) }

// RepairActivity ends what CorruptActivity began.
func (s *Server) RepairActivity(athlete, id int64) error { return s.setCorrupt(athlete, id, false) }

func (s *Server) setCorrupt(athlete, id int64, corrupt bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return err
	}
	if _, err := s.population.activity(a, id); err != nil {
		return err
	}
	a.corrupt[id] = corrupt
	return nil
}

// DeleteActivity deletes an activity as its athlete would.
func (s *Server) DeleteActivity(athlete, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return err
	}
	act, err := s.population.activity(a, id)
	if err != nil {
		return err
	}
	s.population.change(a, id, nil)
	if a.grant.sees(act) {
		s.emit(activityEvent("delete", id, athlete))
	}
	return nil
}
