package gathering_test

import (
	"context"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// starved is a quota that refuses some classes and all below them.
type starved struct {
	gathering.Quota
	now     func() time.Time
	classes []quota.Class
}

func (s starved) Reserve(ctx context.Context, class quota.Class, due time.Time) (quota.Permit, error) {
	for _, c := range s.classes {
		if slices.Index(quota.Classes, class) >= slices.Index(quota.Classes, c) {
			return quota.Permit{}, &quota.Wait{Until: s.now().Add(15 * time.Minute), For: quota.ForRateLimit}
		}
	}
	return s.Quota.Reserve(ctx, class, due)
}

// boundless is a quota that refuses nothing.
type boundless struct{ gathering.Quota }

func (boundless) Reserve(context.Context, quota.Class, time.Time) (quota.Permit, error) {
	return quota.Permit{}, nil
}

func (boundless) Settle(context.Context, quota.Permit, quota.Answer) error { return nil }
