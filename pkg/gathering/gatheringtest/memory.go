package gatheringtest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// Store is the gathering table in memory, without the budget. Use [NewStore].
type Store struct {
	mu       sync.Mutex
	athletes map[int64]versioned[gathering.Athlete]
	inboxes  map[int64]versioned[gathering.Inbox]
	// seen holds when each digest of an event expires, by athlete.
	seen    map[int64]map[string]time.Time
	webhook versioned[gathering.Webhook]
	// events counts webhook events by UTC day.
	events map[string]eventCount
	queues map[quota.Class]*queue
	// refs is where each job is queued.
	refs map[jobKey]gathering.JobRef
	fail error
	// writes counts those of versioned values.
	writes int
}

// eventCount is the count of events of a day.
type eventCount struct {
	events  int
	expires time.Time
}

// versioned is a value with the number of the write that it is from; 0 if there
// is none.
type versioned[T any] struct {
	value    T
	revision int
}

// NewStore makes an empty one.
func NewStore() *Store {
	s := &Store{
		athletes: map[int64]versioned[gathering.Athlete]{}, inboxes: map[int64]versioned[gathering.Inbox]{},
		seen: map[int64]map[string]time.Time{}, events: map[string]eventCount{}, queues: map[quota.Class]*queue{}, refs: map[jobKey]gathering.JobRef{},
	}
	for _, c := range quota.Classes {
		s.queues[c] = &queue{}
	}
	return s
}

// Fail makes every method return err from now on; nil makes them work again.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// lock locks the store unless it is to fail.
func (s *Store) lock() (unlock func(), _ error) {
	s.mu.Lock()
	if err := s.fail; err != nil {
		s.mu.Unlock()
		return nil, err
	}
	return s.mu.Unlock, nil
}

// update changes a value like a real store: change runs outside any lock, and
// the result is written only if no other write came in between.
func update[T any](s *Store, get func() versioned[T], put func(versioned[T]), change func(*T) (bool, error)) (T, error) {
	for {
		unlock, err := s.lock()
		if err != nil {
			return *new(T), err
		}
		v := get()
		unlock()
		seen := v.revision
		changed, err := change(&v.value)
		if err != nil {
			return *new(T), err
		}
		if !changed {
			return v.value, nil
		}
		if unlock, err = s.lock(); err != nil {
			return *new(T), err
		}
		written := get().revision == seen
		if written {
			s.writes++
			v.revision = s.writes
			put(v)
		}
		unlock()
		if written {
			return v.value, nil
		}
	}
}

func (s *Store) athlete(id int64) versioned[gathering.Athlete] {
	v := s.athletes[id]
	v.value = v.value.Clone()
	v.value.ID = id
	return v
}

// Athlete implements [gathering.Athletes].
func (s *Store) Athlete(_ context.Context, id int64) (gathering.Athlete, error) {
	unlock, err := s.lock()
	if err != nil {
		return gathering.Athlete{}, err
	}
	defer unlock()
	return s.athlete(id).value, nil
}

// Update implements [gathering.Athletes].
func (s *Store) Update(_ context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (gathering.Athlete, error) {
	return update(s, func() versioned[gathering.Athlete] { return s.athlete(id) }, func(v versioned[gathering.Athlete]) {
		s.athletes[id] = v
		s.requeue(jobKey{id, gathering.JobScan}, v.value.Job)
	}, change)
}

func (s *Store) inbox(athleteID int64) versioned[gathering.Inbox] {
	v := s.inboxes[athleteID]
	v.value.AthleteID = athleteID
	v.value.Hints = slices.Clone(v.value.Hints)
	return v
}

// UpdateInbox implements [gathering.Inboxes].
func (s *Store) UpdateInbox(_ context.Context, athleteID int64, change func(*gathering.Inbox) (bool, error)) (gathering.Inbox, error) {
	return update(s, func() versioned[gathering.Inbox] { return s.inbox(athleteID) }, func(v versioned[gathering.Inbox]) {
		s.inboxes[athleteID] = v
		s.requeue(jobKey{athleteID, gathering.JobInbox}, v.value.Job)
	}, change)
}

// Deliver implements [gathering.Inboxes].
func (s *Store) Deliver(_ context.Context, athleteID int64, digest string, h gathering.Hint) (gathering.Delivery, error) {
	unlock, err := s.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	v := s.inbox(athleteID)
	if v.value.Generation == 0 {
		return gathering.UnknownAthlete, nil
	}
	if _, seen := s.seen[athleteID][digest]; seen {
		return gathering.Duplicate, nil
	}
	if s.seen[athleteID] == nil {
		s.seen[athleteID] = map[string]time.Time{}
	}
	s.seen[athleteID][digest] = h.DigestExpiresAt().Truncate(time.Second)
	m := &v.value
	if len(m.Hints) < gathering.MaxHints {
		m.Hints = append(m.Hints, h)
	} else {
		m.Overflowed = true
	}
	if m.Job.Due = h.ReceivedAt; !m.Job.RetryAt.IsZero() {
		m.Job.Due = m.Job.RetryAt
	}
	switch {
	case h.Aspect == gathering.AspectDeauthorize:
		m.Job.Class, m.Job.Due = quota.Leave, h.ReceivedAt
	case m.Job.Class == "":
		m.Job.Class = quota.Webhook
	}
	s.writes++
	v.revision = s.writes
	s.inboxes[athleteID] = v
	// A hint makes the job due at once, even while the inbox is leased.
	s.requeue(jobKey{athleteID, gathering.JobInbox}, gathering.Job{Class: m.Job.Class, Due: m.Job.Due})
	return gathering.Delivered, nil
}

// digestsAtOnce is how many digests a real store deletes in one call.
const digestsAtOnce = 25

// DropInbox implements [gathering.Inboxes].
func (s *Store) DropInbox(ctx context.Context, by gathering.Authorization) error {
	for dropped, err := s.dropInbox(by); ; dropped, err = s.dropDigests(by.AthleteID) {
		if err != nil || !dropped {
			return err
		}
		if err := kittest.BetweenParts(ctx); err != nil {
			return err
		}
	}
}

// dropInbox reports whether digests are to be dropped, too.
func (s *Store) dropInbox(by gathering.Authorization) (bool, error) {
	unlock, err := s.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	if s.inboxes[by.AthleteID].value.Generation > by.Generation {
		return false, nil
	}
	delete(s.inboxes, by.AthleteID)
	s.requeue(jobKey{by.AthleteID, gathering.JobInbox}, gathering.Job{})
	return len(s.seen[by.AthleteID]) > 0, nil
}

// dropDigests reports whether there are more.
func (s *Store) dropDigests(athleteID int64) (bool, error) {
	unlock, err := s.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	digests := slices.Sorted(maps.Keys(s.seen[athleteID]))
	for _, d := range digests[:min(digestsAtOnce, len(digests))] {
		delete(s.seen[athleteID], d)
	}
	if len(s.seen[athleteID]) == 0 {
		delete(s.seen, athleteID)
	}
	return len(s.seen[athleteID]) > 0, nil
}

// Held counts the items about the athlete, without a tombstone.
func (s *Store) Held(athleteID int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.seen[athleteID])
	if _, ok := s.inboxes[athleteID]; ok {
		n++
	}
	if a, ok := s.athletes[athleteID]; ok && a.value.State != gathering.Revoked {
		n++
	}
	return n
}

// Webhook implements [gathering.Webhooks].
func (s *Store) Webhook(context.Context) (gathering.Webhook, error) {
	unlock, err := s.lock()
	if err != nil {
		return gathering.Webhook{}, err
	}
	defer unlock()
	return s.webhook.value, nil
}

// UpdateWebhook implements [gathering.Webhooks].
func (s *Store) UpdateWebhook(_ context.Context, change func(*gathering.Webhook) (bool, error)) (gathering.Webhook, error) {
	return update(s, func() versioned[gathering.Webhook] { return s.webhook },
		func(v versioned[gathering.Webhook]) { s.webhook = v }, change)
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

// CountWebhookEvent implements [gathering.Webhooks].
func (s *Store) CountWebhookEvent(_ context.Context, at time.Time) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	s.events[day(at)] = eventCount{s.events[day(at)].events + 1, gathering.EventCountExpiresAt(at)}
	return nil
}

// WebhookEvents implements [gathering.Webhooks].
func (s *Store) WebhookEvents(_ context.Context, at time.Time) (int, error) {
	unlock, err := s.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	return s.events[day(at)].events, nil
}

// Each implements [gathering.Inventory].
func (s *Store) Each(_ context.Context, athlete func(gathering.Athlete), inbox func(gathering.Inbox), event func(time.Time)) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	var athletes []gathering.Athlete
	for _, id := range slices.Sorted(maps.Keys(s.athletes)) {
		athletes = append(athletes, s.athlete(id).value)
	}
	var inboxes []gathering.Inbox
	for _, id := range slices.Sorted(maps.Keys(s.inboxes)) {
		inboxes = append(inboxes, s.inbox(id).value)
	}
	var events []time.Time
	for _, id := range slices.Sorted(maps.Keys(s.seen)) {
		for _, digest := range slices.Sorted(maps.Keys(s.seen[id])) {
			events = append(events, s.seen[id][digest].Add(-gathering.DigestTTL))
		}
	}
	unlock() // The functions may update the store.
	for _, a := range athletes {
		athlete(a)
	}
	for _, m := range inboxes {
		inbox(m)
	}
	for _, at := range events {
		event(at)
	}
	return nil
}
