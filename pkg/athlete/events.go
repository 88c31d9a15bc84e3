package athlete

import (
	"context"
	"fmt"
	"slices"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// AthleteGathered stores the profile.
func (s *Service) AthleteGathered(ctx context.Context, _ event.Meta, f gatheringv1.AthleteGathered) error {
	if f.Athlete.ID != f.AthleteID {
		return fault.New(fault.Permanent, "the profile is another athlete's")
	}
	if s.Events.Now().Sub(f.ReadAt) >= retention.StravaData {
		return nil
	}
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) { return a.applyReading(f), nil })
	return err
}

// AthleteAuthorized stores what the athlete allowed.
func (s *Service) AthleteAuthorized(ctx context.Context, cause event.Meta, f credentialsv1.AthleteAuthorized) error {
	return s.storeConsent(ctx, cause, f.AthleteID, Consent{Generation: f.Generation, Scopes: f.Scopes})
}

// AuthorizationDegraded notes that the athlete has to connect again.
func (s *Service) AuthorizationDegraded(ctx context.Context, cause event.Meta, f credentialsv1.AuthorizationDegraded) error {
	return s.storeConsent(ctx, cause, f.AthleteID, Consent{Generation: f.Generation, Degraded: true})
}

// outdated reports whether an event is so late that the tombstone which would
// reject it may have expired.
func (s *Service) outdated(cause event.Meta) bool {
	return s.Events.Now().Sub(cause.OccurredAt) >= retention.StravaData
}

func (s *Service) storeConsent(ctx context.Context, cause event.Meta, athleteID int64, c Consent) error {
	if s.outdated(cause) {
		return nil
	}
	now := stored(s.Events.Now())
	_, err := s.Accounts.Update(ctx, athleteID, func(a *Account) (bool, error) { return a.applyConsent(c, now), nil })
	return err
}

// AccountLinked stores the link.
func (s *Service) AccountLinked(ctx context.Context, cause event.Meta, f credentialsv1.AccountLinked) error {
	if s.outdated(cause) {
		return nil
	}
	now := stored(s.Events.Now())
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) {
		return a.applyLink(Link{
			Provider: f.Provider, AccountID: f.AccountID, Generation: f.Generation, AthleteGeneration: f.AthleteGeneration,
			LinkedAt: stored(f.LinkedAt),
		}, now), nil
	})
	return err
}

// AccountUnlinked erases the link, and confirms that for the erasure.
func (s *Service) AccountUnlinked(ctx context.Context, _ event.Meta, f credentialsv1.AccountUnlinked) error {
	if err := s.openErasure(ctx, f.Receipt, f.RequestedAt, PartAthlete, f.Provider); err != nil {
		return err
	}
	now := stored(s.Events.Now())
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) {
		return a.applyLink(Link{Provider: f.Provider, Generation: f.Generation}, now), nil
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
	if err := s.openErasure(ctx, f.Receipt, f.RequestedAt, slices.Concat(boundaries, f.LinkedProviders)...); err != nil {
		return err
	}
	now := stored(s.Events.Now())
	_, err := s.Accounts.Update(ctx, f.AthleteID, func(a *Account) (bool, error) { return a.revoke(f.Generation, f.Receipt, now), nil })
	if err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	return s.confirmErasure(ctx, f.Receipt, PartAthlete, s.Events.Now())
}

// ErasureCompleted records that a part has erased all that the receipt stands
// for. cause is the event that reported it.
func (s *Service) ErasureCompleted(ctx context.Context, cause event.Meta, receipt, part string) error {
	return s.confirmErasure(ctx, receipt, part, cause.OccurredAt)
}
