package athlete

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
)

// Service serves athletes and handles the events of other boundaries. Its event
// handlers are idempotent and ignore events that come too late.
type Service struct {
	Accounts  Accounts
	Erasures  Erasures
	Publisher Publisher
	Events    event.Factory
	// NewReceipt returns at least 128 unguessable bits as URL-safe text.
	NewReceipt func() string
}

// Me returns everything that is stored about the session's athlete, without a
// profile that is too old to be shown. It fails with a [*RevokedError] if the
// authorization is over.
func (s *Service) Me(ctx context.Context, by Authorization) (Account, error) {
	a, err := s.Accounts.Account(ctx, by.AthleteID)
	if err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	}
	a.dropExpiredProfile(s.Events.Now())
	return a, a.checkNotRevoked(by)
}

// RequestGather asks gathering to read the athlete's data again, and returns
// the time of the request. It fails with a [*RevokedError] if the authorization
// is over, and with a [TooSoonError].
func (s *Service) RequestGather(ctx context.Context, by Authorization) (time.Time, error) {
	now := stored(s.Events.Now())
	var before time.Time
	_, err := s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		if err := a.checkNotRevoked(by); err != nil {
			return false, err
		}
		before = a.GatherRequestedAt
		return true, a.requestGather(now)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("store the gather request: %w", err)
	}
	err = s.Publisher.Publish(ctx, s.Events.New(athletev1.GatherRequested{
		AthleteID: by.AthleteID, Generation: by.Generation, RequestedAt: now,
	}))
	if err == nil {
		return now, nil
	}
	// The request reached no other boundary, so it does not count. If this fails,
	// too, the athlete waits needlessly, which is harmless.
	_, _ = s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		mine := a.GatherRequestedAt.Equal(now)
		if mine {
			a.GatherRequestedAt = before
		}
		return mine, nil
	})
	return time.Time{}, fmt.Errorf("publish the gather request: %w", err)
}

// RequestErasure takes the athlete's request to leave and returns the receipt.
// The request is stored before anything else happens. If its event cannot be
// published the error is a transient fault; another call, or [Deadlines],
// publishes it under the same receipt. It fails with a [*RevokedError] if the
// authorization is over.
func (s *Service) RequestErasure(ctx context.Context, by Authorization) (receipt string, err error) {
	fresh, now := s.NewReceipt(), stored(s.Events.Now())
	// An earlier request may be replaced by one that ends a later
	// authorization. It is published nevertheless, because the athlete may have
	// its receipt.
	a, err := s.Accounts.Account(ctx, by.AthleteID)
	if err == nil {
		err = a.checkNotRevoked(by)
	}
	if err == nil && a.ErasureRequest != nil {
		err = s.publishErasureRequest(ctx, by.AthleteID, *a.ErasureRequest)
	}
	if err != nil {
		return "", fmt.Errorf("handle an earlier request to leave: %w", err)
	}
	earlier := a.ErasureRequest
	a, err = s.Accounts.Update(ctx, by.AthleteID, func(a *Account) (bool, error) {
		if err := a.checkNotRevoked(by); err != nil {
			return false, err
		}
		return a.requestErasure(by.Generation, fresh, now), nil
	})
	if err != nil {
		return "", fmt.Errorf("store the request to leave: %w", err)
	}
	if earlier != nil && earlier.Receipt == a.ErasureRequest.Receipt {
		return a.ErasureRequest.Receipt, nil
	}
	return a.ErasureRequest.Receipt, s.publishErasureRequest(ctx, by.AthleteID, *a.ErasureRequest)
}

// publishErasureRequest opens the erasure and publishes the request for it. It
// may be repeated: the receipt identifies the erasure.
func (s *Service) publishErasureRequest(ctx context.Context, athleteID int64, r ErasureRequest) error {
	if err := s.openErasure(ctx, r.Receipt, r.RequestedAt); err != nil {
		return err
	}
	err := s.Publisher.Publish(ctx, s.Events.New(athletev1.ErasureRequested{
		AthleteID: athleteID, Generation: r.Generation, Receipt: r.Receipt, RequestedAt: r.RequestedAt,
	}))
	if err != nil {
		return fmt.Errorf("publish the request to leave: %w", err)
	}
	return nil
}
