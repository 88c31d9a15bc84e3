package strava

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Activity is one activity, for tests.
type Activity struct {
	ID         int64           `json:"id"`
	Start      time.Time       `json:"start"`
	Visibility string          `json:"visibility"`
	Corrupt    bool            `json:"corrupt"` // see [Server.CorruptActivity]
	Summary    json.RawMessage `json:"summary"` // as sent
}

// Athletes returns all athletes, in the order of Config.Athletes.
func (s *Server) Athletes() []AthleteState {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]AthleteState, 0, len(s.population.ids))
	for _, id := range s.population.ids {
		a := s.population.accounts[id]
		state := AthleteState{ID: id, Firstname: a.Firstname, Lastname: a.Lastname}
		if a.grant != nil {
			state.Connected, state.Scope = true, formatScopes(a.grant.scopes)
		}
		list = append(list, state)
	}
	return list
}

// AthleteState is an athlete and the application's authorization.
type AthleteState struct {
	ID        int64  `json:"id"`
	Firstname string `json:"firstname"`
	Lastname  string `json:"lastname"`
	Connected bool   `json:"connected"`
	Scope     string `json:"scope"` // granted, separated by commas
}

// Activities returns all activities of an athlete with any visibility, newest
// first. It returns [ErrNotFound] for an unknown athlete.
func (s *Server) Activities(athlete int64) ([]Activity, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.population.account(athlete)
	if err != nil {
		return nil, err
	}
	list := []Activity{}
	for _, act := range s.population.activities(a) {
		list = append(list, Activity{act.id, time.Unix(act.start, 0).UTC(), act.visibility, a.corrupt[act.id], act.raw})
	}
	return list, nil
}

// NewActivity describes an activity that an athlete records. All fields are
// optional.
type NewActivity struct {
	Name        string    `json:"name"`
	SportType   string    `json:"sport_type"`   // default Ride
	Start       time.Time `json:"start_date"`   // default: the activity ended now
	Timezone    string    `json:"timezone"`     // IANA name, default Europe/Berlin
	Distance    float64   `json:"distance"`     // metres, default 25,000
	ElapsedTime int       `json:"elapsed_time"` // seconds, default 3,600
	MovingTime  int       `json:"moving_time"`  // seconds, default the elapsed time
	Gain        float64   `json:"total_elevation_gain"`
	Visibility  string    `json:"visibility"` // default Everyone
	// ReadyAfter is how long Strava takes to process the activity. Until then
	// no list has it and a read returns 404, although Strava has sent the
	// create event (as recorded).
	ReadyAfter Duration `json:"ready_after"`
}

// AddActivity records an activity for an athlete and returns its id. It sends the
// create event if the granted scopes let the application see the activity.
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
	act := f.activity(s.random)
	act.ready = now.Add(time.Duration(n.ReadyAfter)).Unix()
	s.population.change(a, id, &act)
	if a.grant.sees(act) {
		s.emit(activityEvent("create", id, athlete))
	}
	return id, nil
}

func validVisibility(v string) bool { return v == Everyone || v == FollowersOnly || v == OnlyMe }

// Edit is an athlete's change of an activity. Nil fields keep their values.
type Edit struct {
	Name       *string `json:"name"`
	SportType  *string `json:"sport_type"`
	Visibility *string `json:"visibility"`
}

// EditActivity changes an activity as its athlete can. A change of the title,
// the type or private sends one update event; a change between everyone and
// followers sends none. An application without activity:read_all gets a delete
// event when an activity becomes private, and a create event when it is private
// no more.
func (s *Server) EditActivity(athlete, id int64, e Edit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, before, err := s.population.find(athlete, id)
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

// SetFields changes fields of an activity's summary without an event, as Strava
// does for the distance, the gear or the description. A null value removes the
// field.
func (s *Server) SetFields(athlete, id int64, fields map[string]json.RawMessage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, before, err := s.population.find(athlete, id)
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

// CorruptActivity makes an activity one that Strava cannot read. Until
// RepairActivity, a page of a list with it and a read of it return 500
// {"message":"error"}; pages without it are not affected. It returns
// [ErrNotFound] for an unknown athlete or activity.
func (s *Server) CorruptActivity(athlete, id int64) error { return s.setCorrupt(athlete, id, true) }

// RepairActivity makes a corrupt activity readable again.
func (s *Server) RepairActivity(athlete, id int64) error { return s.setCorrupt(athlete, id, false) }

func (s *Server) setCorrupt(athlete, id int64, corrupt bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, _, err := s.population.find(athlete, id)
	if err != nil {
		return err
	}
	a.corrupt[id] = corrupt
	return nil
}

// DeleteActivity deletes an activity as its athlete can.
func (s *Server) DeleteActivity(athlete, id int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, act, err := s.population.find(athlete, id)
	if err != nil {
		return err
	}
	s.population.change(a, id, nil)
	if a.grant.sees(act) {
		s.emit(activityEvent("delete", id, athlete))
	}
	return nil
}
