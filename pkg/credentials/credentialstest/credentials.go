package credentialstest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// CredentialStore is the table of sessions and keys in memory, beside the
// grants of a [Store].
type CredentialStore struct {
	grants credentials.Grants

	mu  sync.Mutex
	all map[string]credentials.Credential // by hash
	err error
}

// NewCredentialStore returns an empty store.
func NewCredentialStore(grants credentials.Grants) *CredentialStore {
	return &CredentialStore{grants: grants, all: map[string]credentials.Credential{}}
}

// Fail makes every method fail with err, until it is nil.
func (s *CredentialStore) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Put implements [credentials.CredentialStore].
func (s *CredentialStore) Put(_ context.Context, c credentials.Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.all[c.Hash] = c
	}
	return s.err
}

// Credential implements [credentials.CredentialStore].
func (s *CredentialStore) Credential(ctx context.Context, athleteID int64, hash string) (credentials.Credential, credentials.Grant, error) {
	s.mu.Lock()
	c, err := s.all[hash], s.err
	s.mu.Unlock()
	if err != nil {
		return credentials.Credential{}, credentials.Grant{}, err
	}
	if c.Hash == "" || c.AthleteID != athleteID {
		return credentials.Credential{}, credentials.Grant{}, fault.New(fault.NotFound, "no such credential")
	}
	grant, err := s.grants.Grant(ctx, credentials.Athlete(athleteID))
	if fault.Is(err, fault.NotFound) {
		return c, credentials.Grant{}, nil
	}
	return c, grant, err
}

// Credentials implements [credentials.CredentialStore].
func (s *CredentialStore) Credentials(_ context.Context, athleteID int64) ([]credentials.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []credentials.Credential{}
	for _, c := range s.all {
		if c.AthleteID == athleteID {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, byHash)
	return all, s.err
}

func byHash(a, b credentials.Credential) int { return strings.Compare(a.Hash, b.Hash) }

// Update implements [credentials.CredentialStore].
func (s *CredentialStore) Update(_ context.Context, c credentials.Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored, ok := s.all[c.Hash]; ok && s.err == nil && stored.EndedAt.IsZero() {
		stored.UsedOn, stored.ExpiresAt = c.UsedOn, c.ExpiresAt
		s.all[c.Hash] = stored
	}
	return s.err
}

// End implements [credentials.CredentialStore].
func (s *CredentialStore) End(_ context.Context, tombstone credentials.Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored, ok := s.all[tombstone.Hash]; ok && s.err == nil && stored.EndedAt.IsZero() {
		s.all[tombstone.Hash] = tombstone
	}
	return s.err
}

// Delete implements [credentials.CredentialStore]. Each credential is a part,
// since a real store may delete any of them and fail.
func (s *CredentialStore) Delete(ctx context.Context, all []credentials.Credential) error {
	for i, c := range all {
		if i > 0 {
			if err := kittest.BetweenParts(ctx); err != nil {
				return err
			}
		}
		if err := s.delete(c); err != nil {
			return err
		}
	}
	return nil
}

func (s *CredentialStore) delete(c credentials.Credential) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && s.all[c.Hash].AthleteID == c.AthleteID {
		delete(s.all, c.Hash)
	}
	return s.err
}

// Sessions implements [credentials.CredentialStore].
func (s *CredentialStore) Sessions(_ context.Context, cursor string, limit int) ([]credentials.Credential, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := []credentials.Credential{}
	for _, c := range s.all {
		if c.Kind == credentials.SessionCredential && c.EndedAt.IsZero() && c.Hash > cursor {
			page = append(page, c)
		}
	}
	slices.SortFunc(page, byHash)
	if len(page) <= limit {
		return page, "", s.err
	}
	return page[:limit], page[limit-1].Hash, s.err
}
