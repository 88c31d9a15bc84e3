package gatheringtest

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

type strava struct {
	port   gathering.Strava
	around kittest.Around
	now    func() time.Time
}

// read makes a call to Strava. If the around refuses it or loses its answer, the
// reading is that of a requester that did not answer.
func read[T any](ctx context.Context, i strava, op string, call func(context.Context) (T, gathering.Reading, error)) (T, gathering.Reading, error) {
	began := i.now().UTC()
	out, reading, err := kittest.Get2(ctx, i.around, "gathering.Strava."+op, call)
	if err != nil && reading.At.IsZero() {
		reading = gathering.Reading{At: began, Answer: quota.Answer{
			Outcome: quota.Unknown, Calls: quota.CallsUncertain, Began: began, Ended: i.now().UTC(),
		}}
	}
	return out, reading, err
}

func (i strava) Athlete(ctx context.Context, by gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	return read(ctx, i, "Athlete", func(ctx context.Context) (gatheringv1.Athlete, gathering.Reading, error) {
		return i.port.Athlete(ctx, by)
	})
}

func (i strava) Activities(ctx context.Context, by gathering.Authorization, r gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	return read(ctx, i, "Activities", func(ctx context.Context) (gathering.Page, gathering.Reading, error) {
		return i.port.Activities(ctx, by, r)
	})
}

func (i strava) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	return read(ctx, i, "Activity", func(ctx context.Context) (gatheringv1.Activity, gathering.Reading, error) {
		return i.port.Activity(ctx, by, activityID)
	})
}
