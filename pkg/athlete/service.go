package athlete

import (
	"context"
	"fmt"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Service is the athlete plane. What takes in events is idempotent and ignores
// what comes too late.
type Service struct {
	Accounts  Accounts
	Erasures  Erasures
	Publisher Publisher
	Minter    event.Minter
	// NewReceipt returns at least 128 unguessable bits as URL-safe text.
	NewReceipt func() string
}

// Me is the session's athlete, of whom only the id is known before the profile
// was gathered. It fails with [ErrRevoked] when the authorization is over.
func (s *Service) Me(ctx context.Context, by Session) (gatheringv1.Athlete, error) {
	a, err := s.Accounts.Account(ctx, by.AthleteID)
	switch {
	case err != nil:
		return gatheringv1.Athlete{}, fmt.Errorf("read account: %w", err)
	case by.Generation <= a.Revoked:
		return gatheringv1.Athlete{}, ErrRevoked
	case a.Profile == nil:
		return gatheringv1.Athlete{ID: by.AthleteID}, nil
	}
	return *a.Profile, nil
}

// Leave takes the athlete's wish to leave and returns the receipt. The wish is
// durable before anything else happens; when it could not be announced, the
// fault is transient, and repeating the call announces it again under the same
// receipt. It fails with [ErrRevoked] when the authorization is over.
func (s *Service) Leave(ctx context.Context, by Session) (receipt string, err error) {
	fresh, now := s.NewReceipt(), s.Minter.Now().UTC()
	a, err := s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		if by.Generation <= a.Revoked {
			return false, ErrRevoked
		}
		return a.leave(by.Generation, fresh, now), nil
	})
	if err != nil {
		return "", fmt.Errorf("remember the wish to leave: %w", err)
	}
	if err := s.Erasures.Open(ctx, Erasure{Receipt: a.Leave.Receipt, RequestedAt: a.Leave.RequestedAt}); err != nil {
		return "", fmt.Errorf("open erasure: %w", err)
	}
	err = s.Publisher.Publish(ctx, s.Minter.First(athletev1.ErasureRequested{
		AthleteID: by.AthleteID, Generation: a.Leave.Generation,
		Receipt: a.Leave.Receipt, RequestedAt: a.Leave.RequestedAt,
	}))
	if err != nil {
		return "", fmt.Errorf("announce the wish to leave: %w", err)
	}
	return a.Leave.Receipt, nil
}

// Erasure tells how far an erasure is. It fails with [ErrNoErasure] when none
// has that receipt.
func (s *Service) Erasure(ctx context.Context, receipt string) (Erasure, error) {
	return s.Erasures.Erasure(ctx, receipt)
}

// AthleteGathered keeps the profile.
func (s *Service) AthleteGathered(ctx context.Context, _ event.Meta, f gatheringv1.AthleteGathered) error {
	if f.Athlete.ID != f.AthleteID {
		return fault.New(fault.Permanent, "the profile is another athlete's")
	}
	if s.Minter.Now().Sub(f.ReadAt) > Retention {
		return nil
	}
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) { return a.gathered(f), nil })
	return err
}

// AuthorizationRevoked erases what belongs to this and earlier authorizations
// and announces it.
func (s *Service) AuthorizationRevoked(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationRevoked) error {
	now := s.Minter.Now().UTC()
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) { return a.revoke(f.Generation, now), nil })
	if err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	return s.Publisher.Publish(ctx, s.Minter.Next(cause, athletev1.ErasureCompleted{Receipt: f.Receipt}))
}

// ErasureReceiptIssued notes that the erasure is complete. One that no athlete
// asked for here, after a deauthorization at Strava, is noted all the same.
func (s *Service) ErasureReceiptIssued(ctx context.Context, _ event.Meta, f credentialsv1.ErasureReceiptIssued) error {
	e := Erasure{Receipt: f.Receipt, RequestedAt: f.RequestedAt, CompletedAt: f.CompletedAt}
	return s.Erasures.Complete(ctx, e, f.CompletedAt.Add(ReceiptLifetime))
}
