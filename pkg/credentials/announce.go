package credentials

import (
	"context"
	"errors"
	"fmt"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// announce publishes the event about the grant's present state and notes that
// it is out. Cut off in between, the next one to use the grant does it again.
func announce(ctx context.Context, grants Grants, publisher Publisher, minter event.Minter, grant Grant) error {
	var fact event.Fact
	switch grant.State {
	case Active:
		fact = credentialsv1.AthleteAuthorized{AthleteID: grant.AthleteID, Generation: grant.Generation, Scopes: grant.Scopes}
	case Degraded:
		fact = credentialsv1.AuthorizationDegraded{
			AthleteID: grant.AthleteID, Generation: grant.Generation, Reason: credentialsv1.DegradedTokenRefused,
		}
	default:
		return nil // A departure announces itself, and repeats itself until it is done.
	}
	if err := publisher.Publish(ctx, minter.First(fact)); err != nil {
		return fmt.Errorf("announce the grant: %w", err)
	}
	_, err := grants.Update(ctx, grant.AthleteID, func(g *Grant) error {
		if g.Generation != grant.Generation || g.State != grant.State {
			return errOutdated
		}
		g.Unannounced = false
		return nil
	})
	if err != nil && !errors.Is(err, errOutdated) {
		return fmt.Errorf("note that the grant is announced: %w", err)
	}
	return nil
}
