package credentials_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

// during calls act during each refresh.
type during struct {
	credentials.OAuth
	act func()
}

func (d during) Refresh(ctx context.Context, app credentials.App, refresh secret.String) (credentials.TokenPair, error) {
	pair, err := d.OAuth.Refresh(ctx, app, refresh)
	d.act()
	return pair, err
}

// A function that refreshes is ended after 45 s. Until then its lease excludes
// the others, also by a clock that is 10 s ahead.
func TestALeaseOutlastsItsHolder(t *testing.T) {
	w := newWorld(t, strava.Settings{Rotation: strava.RotateAlways})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour)
	impatient := w.process(func(context.Context, time.Duration) error { return errors.New("no time to wait") })
	w.tokens.OAuth = during{w.oauth, func() {
		w.clock.Advance(55 * time.Second)
		if _, err := impatient.Pair(t.Context(), w.account(id), generation, credentials.TokenPair{}); !fault.Is(err, fault.Transient) {
			t.Errorf("beside a refresh: %v", err)
		}
	}}
	w.mustAnswer(id, generation)
	if n := w.strava.Counters().Total(strava.EndpointRefresh, id); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// countingGrants counts changes.
type countingGrants struct {
	credentials.Grants
	changes int
}

func (c *countingGrants) Update(ctx context.Context, account credentials.Account, change func(*credentials.Grant) (bool, error)) (credentials.Grant, error) {
	c.changes++
	return c.Grants.Update(ctx, account, change)
}

// A process that has too little time to refresh leaves the lease to others.
func TestWithoutTimeLeftNoLeaseIsTaken(t *testing.T) {
	w := newWorld(t, strava.Settings{})
	id := w.athlete(0)
	generation := w.connected(id)
	w.age(7 * time.Hour)
	grants := &countingGrants{Grants: w.store}
	w.tokens.Grants = grants
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.tokens.Pair(ctx, w.account(id), generation, credentials.TokenPair{}); !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
	if grants.changes != 0 {
		t.Errorf("%d changes of the grant", grants.changes)
	}
}
