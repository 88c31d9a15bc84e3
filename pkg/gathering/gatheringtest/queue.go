package gatheringtest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// queue holds the jobs of one class in order.
type queue struct{ refs []gathering.JobRef }

// byDue orders the jobs of one class: the job that has been due longest comes
// first.
func byDue(p, q gathering.JobRef) int {
	return cmp.Or(p.Due.Compare(q.Due), cmp.Compare(p.AthleteID, q.AthleteID), cmp.Compare(p.Kind, q.Kind))
}

func (q *queue) find(p gathering.JobRef) (int, bool) {
	return slices.BinarySearchFunc(q.refs, p, byDue)
}

func (q *queue) insert(p gathering.JobRef) {
	i, _ := q.find(p)
	q.refs = slices.Insert(q.refs, i, p)
}

func (q *queue) remove(p gathering.JobRef) {
	i, found := q.find(p)
	switch {
	case !found:
	case i == 0: // The usual case. A long queue need not be moved.
		q.refs = q.refs[1:]
	default:
		q.refs = slices.Delete(q.refs, i, i+1)
	}
}

// requeue moves a job to its place in the queue of its class.
func (s *Store) requeue(k jobKey, job gathering.Job) {
	old, queued := s.refs[k]
	due := job.Due
	if job.LeasedUntil.After(due) {
		due = job.LeasedUntil
	}
	now := gathering.JobRef{AthleteID: k.athleteID, Kind: k.kind, Class: job.Class, Due: due}
	if queued && old == now {
		return
	}
	if queued {
		s.queues[old.Class].remove(old)
		delete(s.refs, k)
	}
	if job.Class != "" {
		s.queues[job.Class].insert(now)
		s.refs[k] = now
	}
}

// Due implements [gathering.JobQueue].
func (s *Store) Due(_ context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) ([]gathering.JobRef, error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	q := s.queues[class]
	from := 0
	if after != nil {
		i, found := q.find(*after)
		if from = i; found {
			from++
		}
	}
	to := from
	for to < len(q.refs) && to < from+limit && !q.refs[to].Due.After(at) {
		to++
	}
	return slices.Clone(q.refs[from:to]), nil
}

// Waiting implements [gathering.JobQueue].
func (s *Store) Waiting(_ context.Context, class quota.Class, at time.Time) (gathering.Waiting, error) {
	unlock, err := s.lock()
	if err != nil {
		return gathering.Waiting{}, err
	}
	defer unlock()
	q := s.queues[class]
	w := gathering.Waiting{}
	w.Count, _ = slices.BinarySearchFunc(q.refs, at, func(p gathering.JobRef, at time.Time) int {
		if p.Due.After(at) {
			return 1
		}
		return -1
	})
	if w.Count > 0 {
		w.Oldest = q.refs[0].Due
	}
	return w, nil
}

// NextDue returns when the next job will be due; false if none waits.
func (s *Store) NextDue() (due time.Time, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		if len(q.refs) > 0 && (!ok || q.refs[0].Due.Before(due)) {
			due, ok = q.refs[0].Due, true
		}
	}
	return due, ok
}

type jobKey struct {
	athleteID int64
	kind      gathering.JobKind
}
