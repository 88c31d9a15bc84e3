package activitytest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// Store keeps activities in memory. It implements [activity.WriteStore] and
// [activity.ReadStore]. Use [NewStore].
type Store struct {
	mu       sync.Mutex
	athletes map[int64]*athlete
}

type athlete struct {
	revoked  int64
	readings map[int64]seen
	sync     *activity.Sync
}

// seen is the newest reading of an activity.
type seen struct {
	generation int64
	at         time.Time
	// activity is nil when it is gone.
	activity *gatheringv1.Activity
}

// NewStore makes an empty store.
func NewStore() *Store { return &Store{athletes: map[int64]*athlete{}} }

// of gives the athlete; the store is locked until unlock is called.
func (s *Store) of(athleteID int64) (a *athlete, unlock func()) {
	s.mu.Lock()
	if s.athletes[athleteID] == nil {
		s.athletes[athleteID] = &athlete{readings: map[int64]seen{}}
	}
	return s.athletes[athleteID], s.mu.Unlock
}

// Put implements [activity.WriteStore].
func (s *Store) Put(_ context.Context, r activity.Reading) error {
	a, unlock := s.of(r.By.AthleteID)
	defer unlock()
	if r.By.Generation <= a.revoked {
		return activity.ErrRevoked
	}
	for _, one := range r.Activities {
		old, known := a.readings[one.ID]
		if !known || old.generation < r.By.Generation || old.generation == r.By.Generation && old.at.Before(r.At) {
			a.readings[one.ID] = seen{r.By.Generation, r.At, &one}
		}
	}
	return nil
}

// PutGone implements [activity.WriteStore].
func (s *Store) PutGone(_ context.Context, g activity.Absence, _ time.Time) error {
	a, unlock := s.of(g.By.AthleteID)
	defer unlock()
	if g.By.Generation <= a.revoked {
		return activity.ErrRevoked
	}
	old, known := a.readings[g.ActivityID]
	if !known || old.generation < g.By.Generation || old.generation == g.By.Generation && !old.at.After(g.At) {
		a.readings[g.ActivityID] = seen{g.By.Generation, g.At, nil}
	}
	return nil
}

// UpdateSync implements [activity.WriteStore].
func (s *Store) UpdateSync(_ context.Context, by activity.Authorization, change func(*activity.Sync) bool) error {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	changed := a.copyOfSync()
	if !change(&changed) {
		return nil
	}
	if by.Generation <= a.revoked {
		return activity.ErrRevoked
	}
	a.sync = &changed
	return nil
}

func (a *athlete) copyOfSync() activity.Sync {
	if a.sync == nil {
		return activity.Sync{}
	}
	out := *a.sync
	out.Stored = maps.Clone(out.Stored)
	return out
}

// Supersede implements [activity.WriteStore].
func (s *Store) Supersede(_ context.Context, by activity.Authorization) error {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	maps.DeleteFunc(a.readings, func(_ int64, r seen) bool { return r.generation < by.Generation })
	if a.sync != nil && a.sync.Generation < by.Generation {
		a.sync = nil
	}
	return nil
}

// Erase implements [activity.WriteStore].
func (s *Store) Erase(_ context.Context, by activity.Authorization, _ time.Time) error {
	a, unlock := s.of(by.AthleteID)
	defer unlock()
	a.revoked = max(a.revoked, by.Generation)
	maps.DeleteFunc(a.readings, func(_ int64, r seen) bool { return r.generation <= by.Generation })
	if a.sync != nil && a.sync.Generation <= by.Generation {
		a.sync = nil
	}
	return nil
}

// Revoked implements [activity.ReadStore].
func (s *Store) Revoked(_ context.Context, athleteID int64) (int64, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	return a.revoked, nil
}

// Get implements [activity.ReadStore].
func (s *Store) Get(_ context.Context, athleteID, activityID int64) (gatheringv1.Activity, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	if r := a.readings[activityID]; r.activity != nil {
		return *r.activity, nil
	}
	return gatheringv1.Activity{}, activity.ErrNotFound
}

// List implements [activity.ReadStore].
func (s *Store) List(_ context.Context, athleteID int64, in activity.Range, sportType string, limit int) ([]gatheringv1.Activity, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	found := map[activity.Position]gatheringv1.Activity{}
	for _, r := range a.readings {
		if r.activity == nil || sportType != "" && r.activity.SportType != sportType {
			continue
		}
		p, err := activity.PositionOf(*r.activity)
		if err != nil {
			return nil, err
		}
		if in.Contains(p) {
			found[p] = *r.activity
		}
	}
	newestFirst := slices.SortedFunc(maps.Keys(found), func(p, q activity.Position) int {
		if q.Less(p) {
			return -1
		}
		return 1
	})
	var out []gatheringv1.Activity
	for _, p := range newestFirst[:min(limit, len(newestFirst))] {
		out = append(out, found[p])
	}
	return out, nil
}

// Efforts implements [activity.ReadStore].
func (s *Store) Efforts(_ context.Context, athleteID int64, sportType string) ([]activity.Effort, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	var out []activity.Effort
	for _, r := range a.readings {
		if r.activity == nil || sportType != "" && r.activity.SportType != sportType {
			continue
		}
		out = append(out, activity.Effort{
			SportType: r.activity.SportType, StartDateLocal: r.activity.StartDateLocal, Distance: r.activity.Distance,
			MovingTime: r.activity.MovingTime, ElapsedTime: r.activity.ElapsedTime, TotalElevationGain: r.activity.TotalElevationGain,
		})
	}
	return out, nil
}

// Sync implements [activity.ReadStore].
func (s *Store) Sync(_ context.Context, athleteID int64) (activity.Sync, error) {
	a, unlock := s.of(athleteID)
	defer unlock()
	return a.copyOfSync(), nil
}

// Held is how many items the store has of the athlete besides the tombstone,
// memories of gone activities and the sync among them.
func (s *Store) Held(athleteID int64) int {
	a, unlock := s.of(athleteID)
	defer unlock()
	n := len(a.readings)
	if a.sync != nil {
		n++
	}
	return n
}
