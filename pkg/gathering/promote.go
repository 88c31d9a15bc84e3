package gathering

import (
	"context"
	"fmt"
	"time"

	"github.com/paceline/paceline/pkg/gathering/quota"
)

const (
	// promoteLimit is how many scans one call of [Gatherer.PromoteScans] checks at
	// most, and promoteBatch how many it lists at once.
	promoteLimit = 500
	promoteBatch = 25
)

// PromoteScans moves scans of class spare to the class that their age demands
// by now, and after a gap in the webhooks all scans that have to be repeated.
// It makes no call to Strava.
func (g *Gatherer) PromoteScans(ctx context.Context) error {
	now := g.Events.Now()
	webhook, err := g.Webhooks.Webhook(ctx)
	if err != nil {
		return fmt.Errorf("read the last gap in the webhooks: %w", err)
	}
	gap := webhook.Gap
	if gap.To.IsZero() || gap.Planned {
		_, err := g.replan(ctx, now, now.Add(-promoteAfter), gap.To)
		return err
	}
	// A scan that began before the gap's end is due in class spare at most this
	// long after it. Scans that began later may be listed, too; they stay where
	// they are.
	all, err := g.replan(ctx, now, gap.To.Add(sweepAge+maxPageDelay), gap.To)
	if err != nil || !all {
		return err
	}
	g.Log.InfoContext(ctx, "scans planned again after a gap", "gap_from", gap.From, "gap_to", gap.To)
	_, err = g.Webhooks.UpdateWebhook(ctx, func(w *Webhook) (changed bool, _ error) {
		if w.Gap != gap {
			return false, nil
		}
		w.Gap.Planned = true
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("store that the scans of the gap are planned: %w", err)
	}
	return nil
}

// replan plans again the scans of class spare that are due at the time due, and
// reports whether it has checked all of them. It goes on after a scan that
// cannot be changed.
func (g *Gatherer) replan(ctx context.Context, now, due, gapEnd time.Time) (all bool, _ error) {
	var last *JobRef
	var failures itemFailures
	for range promoteLimit / promoteBatch {
		refs, err := g.Jobs.Due(ctx, quota.Spare, due, last, promoteBatch)
		if err != nil {
			return false, fmt.Errorf("list spare scans: %w", err)
		}
		for _, p := range refs {
			_, err := g.Athletes.Update(ctx, p.AthleteID, func(a *Athlete) (changed bool, _ error) {
				if a.State != Active || a.Job.Class != quota.Spare || a.Job.LeasedUntil.After(now) {
					return false, nil
				}
				a.plan(now, gapEnd)
				return a.Job.Class != quota.Spare, nil
			})
			if err != nil {
				g.logFailure(ctx, p, fmt.Errorf("move a scan: %w", err), false)
				if err := failures.add(err); err != nil {
					return false, err
				}
			}
		}
		if len(refs) < promoteBatch {
			return len(failures) == 0, nil
		}
		last = &refs[len(refs)-1]
	}
	return false, nil
}
