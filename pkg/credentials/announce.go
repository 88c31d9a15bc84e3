package credentials

import (
	"context"
	"errors"
	"fmt"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// announce publishes the event about the grant's present state and notes that
// it is out. Cut off in between, the next one to use the grant does it
// again, or else Settle.
func announce(ctx context.Context, grants Grants, publisher Publisher, minter event.Minter, grant Grant) error {
	var fact event.Fact
	athleteID, gathered := grant.Account.AthleteID()
	switch grant.State {
	case Active:
		fact = credentialsv1.AthleteAuthorized{AthleteID: athleteID, Generation: grant.Generation, Scopes: grant.Scopes}
	case Degraded:
		fact = credentialsv1.AuthorizationDegraded{
			AthleteID: athleteID, Generation: grant.Generation, Reason: grant.Reason,
		}
	default:
		return nil // Departures announce what is over.
	}
	if gathered {
		if err := publisher.Publish(ctx, minter.First(fact)); err != nil {
			return fmt.Errorf("announce the grant: %w", err)
		}
	}
	_, err := update(ctx, grants, minter, grant.Account, func(g *Grant) error {
		if g.Generation != grant.Generation || g.State != grant.State || g.Reason != grant.Reason {
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
