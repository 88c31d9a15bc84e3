package gathering_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/kittest"
)

// interceptor runs right before and right after every call of a process to a
// port. If it returns an error, the call returns that: before the call, the
// call is not made; after it, the answer is lost. If it panics, the process
// ends.
type interceptor func(point string) error

// observe is an interceptor that returns no error.
func observe(look func(point string)) interceptor {
	return func(point string) error {
		look(point)
		return nil
	}
}

// points are the calls that interceptors see, as tests name them.
var points = map[string]string{
	"gathering.Athletes.Athlete":       "reading the athlete",
	"gathering.Athletes.Update":        "writing the athlete",
	"gathering.Inboxes.UpdateInbox":    "writing the inbox",
	"gathering.Inboxes.DropInbox":      "dropping the inbox",
	"gathering.Jobs.Due":               "listing jobs",
	"gathering.Webhooks.Webhook":       "reading the webhook",
	"gathering.Webhooks.UpdateWebhook": "writing the webhook",
	"gathering.Strava.Athlete":         "reading the profile",
	"gathering.Strava.Activities":      "reading a page",
	"gathering.Strava.Activity":        "reading an activity",
	"gathering.Waker.Wake":             "waking a gatherer",
	"gathering.Publisher.Publish":      "publishing",
	"quota.Acquire":                    "acquiring",
	"quota.Settle":                     "settling",
}

func TestPointsAreOperations(t *testing.T) {
	ops := kittest.Operations(gathering.Ports{}, gatheringtest.Boundary)
	for op := range points {
		if !slices.Contains(ops, op) && !strings.HasPrefix(op, "quota.") {
			t.Errorf("%s is no operation", op)
		}
	}
}

// around makes a call with the interceptor before and after it. Like a real
// client it makes no call once the context has ended.
func (at interceptor) around(ctx context.Context, op string, call func(context.Context) error) error {
	what, seen := points[op]
	if !seen {
		return call(ctx)
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Transient, "%s: %w", what, err)
	}
	if err := at("before " + what); err != nil {
		return err
	}
	err := call(ctx)
	if lost := at("after " + what); lost != nil {
		return lost
	}
	return err
}

// watch returns the gatherer with the interceptor at all its calls.
func (at interceptor) watch(g gathering.Gatherer) *gathering.Gatherer {
	p := gatheringtest.Intercept(gathering.Ports{
		Athletes: g.Athletes, Inboxes: g.Inboxes, Jobs: g.Jobs, Webhooks: g.Webhooks,
		Strava: g.Strava, Waker: g.Waker, Publisher: g.Publisher, Events: g.Events,
	}, at.around)
	g.Athletes, g.Inboxes, g.Jobs, g.Webhooks = p.Athletes, p.Inboxes, p.Jobs, p.Webhooks
	g.Strava, g.Waker, g.Publisher = p.Strava, p.Waker, p.Publisher
	g.Quota = interceptedQuota{g.Quota, at}
	return &g
}

// watchAuthorizations does the same for Authorizations.
func (at interceptor) watchAuthorizations(z gathering.Authorizations) *gathering.Authorizations {
	p := gatheringtest.Intercept(gathering.Ports{Athletes: z.Athletes, Inboxes: z.Inboxes, Waker: z.Waker, Publisher: z.Publisher}, at.around)
	z.Athletes, z.Inboxes, z.Waker, z.Publisher = p.Athletes, p.Inboxes, p.Waker, p.Publisher
	return &z
}

// webhooks returns the stored webhook with the interceptor at its calls.
func (at interceptor) webhooks(w gathering.Webhooks) gathering.Webhooks {
	return gatheringtest.Intercept(gathering.Ports{Webhooks: w}, at.around).Webhooks
}

// interceptedQuota is no port: its budget is.
type interceptedQuota struct {
	gathering.Quota
	at interceptor
}

func (p interceptedQuota) Acquire(ctx context.Context, class quota.Class, due time.Time) (permit quota.Permit, err error) {
	err = p.at.around(ctx, "quota.Acquire", func(ctx context.Context) (err error) { permit, err = p.Quota.Acquire(ctx, class, due); return err })
	return permit, err
}

func (p interceptedQuota) Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (s quota.Settlement, err error) {
	err = p.at.around(ctx, "quota.Settle", func(ctx context.Context) (err error) { s, err = p.Quota.Settle(ctx, permit, answer); return err })
	return s, err
}
