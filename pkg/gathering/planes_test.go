package gathering_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/eventtest"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// planes keeps published activities as the activity plane does. The newest
// reading wins. A completed scan removes activities that it covers and did not
// find; more than a handful only once that is confirmed.
type planes struct {
	*eventtest.Bus
	t         *testing.T
	held      map[int64]map[int64]reading
	chunks    map[string]int
	questions []activityv1.RemovalQuestioned
	// complete says that a scan of the athlete has completed.
	complete map[int64]bool
	// removed counts the removals by completed scans.
	removed int
}

// reading is an activity and when it was read; the activity is nil if it was
// not there.
type reading struct {
	at       time.Time
	activity *gatheringv1.Activity
}

// Publish implements [gathering.Publisher].
func (p *planes) Publish(ctx context.Context, events ...event.Event) error {
	if err := p.Bus.Publish(ctx, events...); err != nil {
		return err
	}
	for _, e := range events {
		switch f := e.Fact.(type) {
		case gatheringv1.ActivitiesGathered:
			p.gathered(f)
		case gatheringv1.ActivityGone:
			p.put(f.AthleteID, f.ActivityID, reading{f.ReadAt, nil})
		case gatheringv1.ScanProgressed:
			if f.State == gatheringv1.ScanCompleted {
				p.completed(f)
			}
		}
	}
	return nil
}

func (p *planes) put(athleteID, activityID int64, r reading) {
	if p.held[athleteID] == nil {
		p.held[athleteID] = map[int64]reading{}
	}
	if !r.at.Before(p.held[athleteID][activityID].at) {
		p.held[athleteID][activityID] = r
	}
}

func (p *planes) gathered(f gatheringv1.ActivitiesGathered) {
	if len(f.Activities) > gatheringv1.MaxActivities {
		p.t.Errorf("%d activities in an event", len(f.Activities))
	}
	for _, a := range f.Activities {
		p.put(f.AthleteID, a.ID, reading{f.ReadAt, &a})
	}
	if c := f.Chunk; c != nil {
		if c.Number > p.chunks[c.ScanID] {
			p.t.Errorf("chunk %d of scan %s without the one before", c.Number, c.ScanID)
		}
		p.chunks[c.ScanID] = max(p.chunks[c.ScanID], c.Number+1)
	}
}

func (p *planes) completed(f gatheringv1.ScanProgressed) {
	p.complete[f.AthleteID] = true
	held := p.held[f.AthleteID]
	var missing []int64
	count := 0
	for id, r := range held {
		if r.activity == nil {
			continue
		}
		count++
		if start, err := time.Parse(time.RFC3339, r.activity.StartDate); err != nil {
			p.t.Error(err)
		} else if r.at.Before(*f.StartedAt) && covers(f.Covered, start) {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	if !f.Confirmed && len(missing) > max(3, count*2/100) {
		p.questions = append(p.questions, activityv1.RemovalQuestioned{
			AthleteID: f.AthleteID, Generation: f.Generation, ScanID: f.ScanID, Missing: len(missing), Held: count,
			Sample: []int64{missing[0], missing[len(missing)/2], missing[len(missing)-1]},
		})
		return
	}
	p.removed += len(missing)
	for _, id := range missing {
		delete(held, id)
	}
}

func covers(spans []gatheringv1.Span, start time.Time) bool {
	return slices.ContainsFunc(spans, func(s gatheringv1.Span) bool {
		return s.Contains(start)
	})
}
