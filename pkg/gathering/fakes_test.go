package gathering_test

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// starved is a quota that refuses some classes and all classes below them.
type starved struct {
	gathering.Quota
	now     func() time.Time
	classes []quota.Class
}

func (s starved) Acquire(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error) {
	for _, c := range s.classes {
		if slices.Index(quota.Classes, class) >= slices.Index(quota.Classes, c) {
			return quota.Permit{}, &quota.Wait{Until: s.now().Add(15 * time.Minute), Reason: quota.ReasonRateLimit}
		}
	}
	return s.Quota.Acquire(ctx, class, due)
}

// boundless is a quota that refuses nothing.
type boundless struct{ gathering.Quota }

func (boundless) Acquire(context.Context, quota.Class, time.Time) (quota.Permit, error) {
	return quota.Permit{}, nil
}

func (boundless) Settle(context.Context, quota.Permit, quota.Answer) (quota.Settlement, error) {
	return quota.Settlement{}, nil
}

// stale is a queue that still lists a job where it was a moment ago.
type stale struct {
	gathering.JobQueue
	ref gathering.JobRef
}

func (s stale) Due(ctx context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) ([]gathering.JobRef, error) {
	refs, err := s.JobQueue.Due(ctx, class, at, after, limit)
	if class == s.ref.Class && after == nil {
		refs = append(refs, s.ref)
	}
	return refs, err
}

// corrupt is a Strava that fails to show one activity by its id.
type corrupt struct {
	gathering.Strava
	activityID int64
}

func (c corrupt) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	a, reading, err := c.Strava.Activity(ctx, by, activityID)
	if activityID == c.activityID {
		reading.Answer.Outcome = quota.Unavailable
		return gatheringv1.Activity{}, reading, gathering.ErrUnavailable
	}
	return a, reading, err
}

// unforwarded is a Strava that no call for one athlete reaches: our own
// requester fails.
type unforwarded struct {
	gathering.Strava
	athleteID int64
}

func (u unforwarded) Athlete(ctx context.Context, by gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	if by.AthleteID == u.athleteID {
		return gatheringv1.Athlete{}, gathering.Reading{Answer: quota.Answer{Outcome: quota.Unknown}}, fault.New(fault.Transient, "the requester failed")
	}
	return u.Strava.Athlete(ctx, by)
}
