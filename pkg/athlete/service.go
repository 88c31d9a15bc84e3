package athlete

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	Events    event.Factory
	// NewReceipt returns at least 128 unguessable bits as URL-safe text.
	NewReceipt func() string
}

// Me is everything that is kept of the session's athlete, without a profile that
// may not be shown any more. It fails with a [RevokedError] when the authorization
// is over.
func (s *Service) Me(ctx context.Context, by Session) (Account, error) {
	a, err := s.Accounts.Account(ctx, by.AthleteID)
	if err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	}
	a.expire(s.Events.Now())
	return a, a.admit(by)
}

// Refresh requests that the athlete's data be read again, and returns the time of
// the request.
// It fails with a [RevokedError] when the authorization is over, and with a
// [TooSoonError].
func (s *Service) Refresh(ctx context.Context, by Session) (time.Time, error) {
	now := stored(s.Events.Now())
	var before time.Time
	_, err := s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		if err := a.admit(by); err != nil {
			return false, err
		}
		before = a.Asked
		return true, a.ask(now)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("remember the wish for a refresh: %w", err)
	}
	err = s.Publisher.Publish(ctx, s.Events.New(athletev1.GatherRequested{
		AthleteID: by.AthleteID, Generation: by.Generation, RequestedAt: now,
	}))
	if err == nil {
		return now, nil
	}
	// The event was not published, so the request does not count. If this update
	// fails, too, the athlete only waits needlessly before the next request.
	_, _ = s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		mine := a.Asked.Equal(now)
		if mine {
			a.Asked = before
		}
		return mine, nil
	})
	return time.Time{}, fmt.Errorf("announce the wish for a refresh: %w", err)
}

// Leave takes the athlete's wish to leave and returns the receipt. The wish is
// durable before anything else happens; when it could not be announced, the
// fault is transient, and repeating the call announces it again under the same
// receipt, as [Deadlines] does. It fails with a [RevokedError] when the
// authorization is over.
func (s *Service) Leave(ctx context.Context, by Session) (receipt string, err error) {
	fresh, now := s.NewReceipt(), stored(s.Events.Now())
	// A wish gives way to one that ends a later authorization, too, but is carried
	// out all the same: its receipt may have been given.
	a, err := s.Accounts.Account(ctx, by.AthleteID)
	if err == nil {
		err = a.admit(by)
	}
	if err == nil && a.Leave != nil {
		err = s.announce(ctx, by.AthleteID, *a.Leave)
	}
	if err != nil {
		return "", fmt.Errorf("look for an earlier wish: %w", err)
	}
	earlier := a.Leave
	a, err = s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		if err := a.admit(by); err != nil {
			return false, err
		}
		return a.leave(by.Generation, fresh, now), nil
	})
	if err != nil {
		return "", fmt.Errorf("remember the wish to leave: %w", err)
	}
	if earlier != nil && earlier.Receipt == a.Leave.Receipt {
		return a.Leave.Receipt, nil
	}
	return a.Leave.Receipt, s.announce(ctx, by.AthleteID, *a.Leave)
}

// announce opens the erasure that was wished for and has it begun. It may be
// repeated: the receipt tells that it is the same.
func (s *Service) announce(ctx context.Context, athleteID int64, l Leave) error {
	if err := s.openErasure(ctx, l.Receipt, l.RequestedAt); err != nil {
		return err
	}
	err := s.Publisher.Publish(ctx, s.Events.New(athletev1.ErasureRequested{
		AthleteID: athleteID, Generation: l.Generation, Receipt: l.Receipt, RequestedAt: l.RequestedAt,
	}))
	if err != nil {
		return fmt.Errorf("announce the wish to leave: %w", err)
	}
	return nil
}

// AthleteGathered keeps the profile.
func (s *Service) AthleteGathered(ctx context.Context, _ event.Meta, f gatheringv1.AthleteGathered) error {
	if f.Athlete.ID != f.AthleteID {
		return fault.New(fault.Permanent, "the profile is another athlete's")
	}
	if s.Events.Now().Sub(f.ReadAt) >= Retention {
		return nil
	}
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) { return a.gathered(f), nil })
	return err
}

// AthleteAuthorized keeps what the athlete allowed.
func (s *Service) AthleteAuthorized(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
	return s.authorized(ctx, cause, f.AthleteID, Authorization{Generation: f.Generation, Scopes: f.Scopes})
}

// AuthorizationDegraded notes that the athlete has to connect again.
func (s *Service) AuthorizationDegraded(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
	return s.authorized(ctx, cause, f.AthleteID, Authorization{Generation: f.Generation, Degraded: true})
}

// authorized keeps what was announced of an authorization, unless that comes so
// late that the tombstone which would fence it may be gone.
func (s *Service) authorized(ctx context.Context, cause event.Meta, athleteID int64, f Authorization) error {
	now := stored(s.Events.Now())
	if now.Sub(cause.OccurredAt) >= Retention {
		return nil
	}
	_, err := s.Accounts.Update(ctx, athleteID, func(a *Account) (bool, error) { return a.authorized(f, now), nil })
	return err
}

// AccountLinked keeps the link, unless it comes so late that the tombstone which
// would fence it may be gone.
func (s *Service) AccountLinked(ctx context.Context, cause event.Meta, f credentialsv1.AccountLinked) error {
	now := stored(s.Events.Now())
	if now.Sub(cause.OccurredAt) >= Retention {
		return nil
	}
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) {
		return a.link(Link{
			Provider: f.Provider, AccountID: f.AccountID, Generation: f.Generation, AthleteGeneration: f.AthleteGeneration, LinkedAt: stored(f.LinkedAt),
		}, now), nil
	})
	return err
}

// AccountUnlinked erases the link, and confirms that for the erasure.
func (s *Service) AccountUnlinked(ctx context.Context, _ event.Meta, f credentialsv1.AccountUnlinked) error {
	now := stored(s.Events.Now())
	if err := s.openErasure(ctx, f.Receipt, f.RequestedAt, PartAthlete, f.Provider); err != nil {
		return err
	}
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) {
		return a.link(Link{Provider: f.Provider, Generation: f.Generation}, now), nil
	})
	if err != nil {
		return fmt.Errorf("erase link: %w", err)
	}
	return s.confirmErasure(ctx, f.Receipt, PartAthlete, s.Events.Now())
}

// AuthorizationRevoked erases what belongs to this and earlier authorizations,
// and confirms that for the erasure. The erasure is opened first: if erasing
// fails, the erasure becomes overdue.
func (s *Service) AuthorizationRevoked(ctx context.Context, _ event.Meta, f credentialsv1.AuthorizationRevoked) error {
	now := stored(s.Events.Now())
	if err := s.openErasure(ctx, f.Receipt, f.RequestedAt, slices.Concat(allParts, f.LinkedProviders)...); err != nil {
		return err
	}
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) { return a.revoke(f.Generation, f.Receipt, now), nil })
	if err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	return s.confirmErasure(ctx, f.Receipt, PartAthlete, s.Events.Now())
}
