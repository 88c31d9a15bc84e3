package gatheringtest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Store is the gathering table in memory.
type Store struct {
	mu       sync.Mutex
	athletes map[int64]gathering.Athlete
	revision map[int64]int
	pause    gathering.Pause
	webhook  gathering.Webhook
}

// NewStore makes an empty one.
func NewStore() *Store {
	return &Store{athletes: map[int64]gathering.Athlete{}, revision: map[int64]int{}}
}

// Athlete implements [gathering.Athletes].
func (s *Store) Athlete(_ context.Context, id int64) (gathering.Athlete, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.athletes[id]
	a.ID = id
	return a, nil
}

// Update implements [gathering.Athletes]. Like a real store it runs change
// outside any lock and writes only if nobody else did meanwhile.
func (s *Store) Update(_ context.Context, id int64, change func(*gathering.Athlete) error) (gathering.Athlete, error) {
	for {
		s.mu.Lock()
		a, seen := s.athletes[id], s.revision[id]
		s.mu.Unlock()
		a.ID = id
		if err := change(&a); err != nil {
			return gathering.Athlete{}, err
		}
		s.mu.Lock()
		if s.revision[id] == seen {
			s.athletes[id] = a
			s.revision[id]++
			s.mu.Unlock()
			return a, nil
		}
		s.mu.Unlock()
	}
}

// Pause implements [gathering.Pauses].
func (s *Store) Pause(context.Context) (gathering.Pause, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pause, nil
}

// SavePause implements [gathering.Pauses].
func (s *Store) SavePause(_ context.Context, p gathering.Pause) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Until.After(s.pause.Until) {
		s.pause = p
	}
	return nil
}

// Webhook implements [gathering.Webhooks].
func (s *Store) Webhook(context.Context) (gathering.Webhook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhook.Version == 0 {
		return gathering.Webhook{}, fault.New(fault.NotFound, "not configured")
	}
	return s.webhook, nil
}

// SaveWebhook implements [gathering.Webhooks].
func (s *Store) SaveWebhook(_ context.Context, w gathering.Webhook) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.Version > s.webhook.Version {
		s.webhook = w
	}
	return nil
}

// Queue is the work queue in memory. Nobody takes jobs out but the test.
type Queue struct {
	now func() time.Time

	mu   sync.Mutex
	jobs []queued
	// Fail, when not nil, is what Send returns.
	Fail error
}

type queued struct {
	job gathering.Job
	due time.Time
}

// NewQueue makes an empty one.
func NewQueue(now func() time.Time) *Queue { return &Queue{now: now} }

// Send implements [gathering.Queue].
func (q *Queue) Send(_ context.Context, job gathering.Job, delay time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.Fail != nil {
		return q.Fail
	}
	if delay < 0 || delay > gathering.MaxDelay {
		return fault.New(fault.Permanent, "a delay of %s", delay)
	}
	q.jobs = append(q.jobs, queued{job, q.now().Add(delay)})
	return nil
}

// Take removes and returns the oldest job that is due.
func (q *Queue) Take() (gathering.Job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, j := range q.jobs {
		if !j.due.After(q.now()) {
			q.jobs = slices.Delete(q.jobs, i, i+1)
			return j.job, true
		}
	}
	return gathering.Job{}, false
}

// NextDue is when the next job will be due; false when there is none.
func (q *Queue) NextDue() (due time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.jobs {
		if !ok || j.due.Before(due) {
			due, ok = j.due, true
		}
	}
	return due, ok
}

// Len is how many jobs there are.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.jobs)
}
