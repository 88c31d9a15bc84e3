package credentials

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	// SessionTTL is the longest life of a session. After it the athlete has to
	// consent at Strava again.
	SessionTTL = 30 * 24 * time.Hour
	// idleTTL is how long a session lasts without use, from the end of the day of
	// its last use.
	idleTTL = 7 * 24 * time.Hour
)

// sessionEnd returns when a session ends that was last used on its UsedOn.
func sessionEnd(c Credential) time.Time {
	idle := c.UsedOn.Add(24*time.Hour + idleTTL)
	if end := c.CreatedAt.Add(SessionTTL); end.Before(idle) {
		return end
	}
	return idle
}

// Sessions opens and ends browsers' sessions.
type Sessions struct {
	Store CredentialStore
	// NewSecret returns 256 unguessable bits as URL-safe text.
	NewSecret func() string
	Now       func() time.Time
}

// Open opens a session for an athlete who has just consented, and returns the
// secret for the browser's cookie. The error is ErrRevoked if the authorization
// is over already.
func (s *Sessions) Open(ctx context.Context, of Authorization) (secret.String, error) {
	c, token := newCredential(SessionCredential, of, s.NewSecret(), s.Now())
	c.UsedOn = day(c.CreatedAt)
	c.ExpiresAt = sessionEnd(c)
	if err := create(ctx, s.Store, c); err != nil {
		return secret.String{}, fmt.Errorf("open session: %w", err)
	}
	return token, nil
}

// End ends one session, whose holder logs out. It returns no error for an
// unknown secret.
func (s *Sessions) End(ctx context.Context, token secret.String) error {
	athleteID, ok := ownerOf(SessionCredential, token)
	if !ok {
		return nil
	}
	one := Credential{Authorization: Authorization{AthleteID: athleteID}, Hash: token.SHA256()}
	if err := s.Store.Delete(ctx, []Credential{one}); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndEverywhere ends every session of an athlete, who logs out everywhere. Keys
// stay.
func (s *Sessions) EndEverywhere(ctx context.Context, athleteID int64) error {
	all, err := s.Store.Credentials(ctx, athleteID)
	if err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	all = slices.DeleteFunc(all, func(c Credential) bool { return c.Kind != SessionCredential })
	if err := s.Store.Delete(ctx, all); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// EndAll ends every session and key of an athlete whose authorization of the
// generation has ended. Their tombstones hold the receipt by which the erasure
// can be looked up. It may be repeated.
func (s *Sessions) EndAll(ctx context.Context, athleteID, generation int64, receipt string) error {
	all, err := s.Store.Credentials(ctx, athleteID)
	if err != nil {
		return fmt.Errorf("read sessions and keys: %w", err)
	}
	for _, c := range all {
		if c.Generation > generation {
			continue
		}
		if err := s.Store.End(ctx, c.ended(s.Now(), receipt)); err != nil {
			return fmt.Errorf("end sessions and keys: %w", err)
		}
	}
	return nil
}

// endPage is how many sessions EndStage ends at a time.
const endPage = 1000

// EndStage ends sessions of all athletes of the stage, page by page: call it
// until next is empty. Every athlete has to sign in again.
func (s *Sessions) EndStage(ctx context.Context, cursor string) (ended int, next string, err error) {
	page, next, err := s.Store.Sessions(ctx, cursor, endPage)
	if err != nil {
		return 0, "", fmt.Errorf("read sessions: %w", err)
	}
	if err := s.Store.Delete(ctx, page); err != nil {
		return 0, "", fmt.Errorf("end sessions: %w", err)
	}
	return len(page), next, nil
}
