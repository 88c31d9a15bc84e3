package credentialstest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// CountAuthorized implements [credentials.GrantCounter].
func (s *Store) CountAuthorized(_ context.Context, provider string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.grants {
		if g.Account.Provider == provider && g.Authorized() {
			n++
		}
	}
	return n, nil
}

// WaitlistStore is the waitlist in memory.
type WaitlistStore struct {
	mu      sync.Mutex
	waiting map[string]waiting
}

type waiting struct {
	since, until time.Time
}

// Add implements [credentials.WaitlistStore].
func (r *WaitlistStore) Add(_ context.Context, w credentials.WaitlistEntry, until time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[string]waiting{}
	}
	if earlier, ok := r.waiting[w.Contact]; ok {
		w.Since = earlier.since
	}
	r.waiting[w.Contact] = waiting{w.Since, until.Truncate(time.Second)}
	return nil
}

// Entries implements [credentials.WaitlistStore].
func (r *WaitlistStore) Entries(_ context.Context, now time.Time) ([]credentials.WaitlistEntry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []credentials.WaitlistEntry{}
	for contact, w := range r.waiting {
		if w.until.After(now) {
			all = append(all, credentials.WaitlistEntry{Contact: contact, Since: w.since})
		}
	}
	slices.SortFunc(all, func(a, b credentials.WaitlistEntry) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Contact, b.Contact))
	})
	return all, nil
}

// Remove implements [credentials.WaitlistStore].
func (r *WaitlistStore) Remove(_ context.Context, contact string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[contact]; !ok {
		return fault.New(fault.NotFound, "the contact is not on the waitlist")
	}
	delete(r.waiting, contact)
	return nil
}

// Clear implements [credentials.WaitlistStore].
func (r *WaitlistStore) Clear(ctx context.Context) (cleared int, _ error) {
	for {
		n := r.clearSome()
		if cleared += n; n == 0 {
			return cleared, nil
		}
		if err := kittest.BetweenParts(ctx); err != nil {
			return cleared, err
		}
	}
}

// clearSome deletes as many entries as DynamoDB deletes in one call.
func (r *WaitlistStore) clearSome() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	contacts := slices.Sorted(maps.Keys(r.waiting))
	contacts = contacts[:min(25, len(contacts))]
	for _, contact := range contacts {
		delete(r.waiting, contact)
	}
	return len(contacts)
}
