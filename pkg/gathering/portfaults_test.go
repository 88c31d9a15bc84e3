package gathering_test

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
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

// watch returns the gatherer with the interceptor at all its calls.
func (at interceptor) watch(g gathering.Gatherer) *gathering.Gatherer {
	g.Athletes = interceptedAthletes{g.Athletes, at}
	g.Inboxes = interceptedInboxes{g.Inboxes, at}
	g.Jobs = interceptedJobs{g.Jobs, at}
	g.Webhooks = interceptedWebhooks{g.Webhooks, at}
	g.Quota = interceptedQuota{g.Quota, at}
	g.Strava = interceptedStrava{g.Strava, at}
	g.Waker = interceptedWaker{g.Waker, at}
	g.Publisher = interceptedPublisher{g.Publisher, at}
	return &g
}

// watchAuthorizations does the same for Authorizations.
func (at interceptor) watchAuthorizations(z gathering.Authorizations) *gathering.Authorizations {
	z.Athletes = interceptedAthletes{z.Athletes, at}
	z.Inboxes = interceptedInboxes{z.Inboxes, at}
	z.Waker = interceptedWaker{z.Waker, at}
	z.Publisher = interceptedPublisher{z.Publisher, at}
	return &z
}

// around makes a call with the interceptor before and after it. Like a real
// client it makes no call once the context has ended.
func (at interceptor) around(ctx context.Context, what string, do func() error) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Transient, "%s: %w", what, err)
	}
	if err := at("before " + what); err != nil {
		return err
	}
	err := do()
	if lost := at("after " + what); lost != nil {
		return lost
	}
	return err
}

type interceptedAthletes struct {
	gathering.Athletes
	at interceptor
}

func (p interceptedAthletes) Athlete(ctx context.Context, id int64) (a gathering.Athlete, err error) {
	err = p.at.around(ctx, "reading the athlete", func() (err error) { a, err = p.Athletes.Athlete(ctx, id); return err })
	return a, err
}

func (p interceptedAthletes) Update(ctx context.Context, id int64, change func(*gathering.Athlete) (bool, error)) (a gathering.Athlete, err error) {
	err = p.at.around(ctx, "writing the athlete", func() (err error) { a, err = p.Athletes.Update(ctx, id, change); return err })
	return a, err
}

type interceptedInboxes struct {
	gathering.Inboxes
	at interceptor
}

func (p interceptedInboxes) UpdateInbox(ctx context.Context, id int64, change func(*gathering.Inbox) (bool, error)) (m gathering.Inbox, err error) {
	err = p.at.around(ctx, "writing the inbox", func() (err error) { m, err = p.Inboxes.UpdateInbox(ctx, id, change); return err })
	return m, err
}

func (p interceptedInboxes) DropInbox(ctx context.Context, by gathering.Authorization) error {
	return p.at.around(ctx, "dropping the inbox", func() error { return p.Inboxes.DropInbox(ctx, by) })
}

type interceptedJobs struct {
	gathering.JobQueue
	at interceptor
}

func (p interceptedJobs) Due(ctx context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) (refs []gathering.JobRef, err error) {
	err = p.at.around(ctx, "listing jobs", func() (err error) { refs, err = p.JobQueue.Due(ctx, class, at, after, limit); return err })
	return refs, err
}

type interceptedWebhooks struct {
	gathering.Webhooks
	at interceptor
}

func (p interceptedWebhooks) Webhook(ctx context.Context) (w gathering.Webhook, err error) {
	err = p.at.around(ctx, "reading the webhook", func() (err error) { w, err = p.Webhooks.Webhook(ctx); return err })
	return w, err
}

func (p interceptedWebhooks) UpdateWebhook(ctx context.Context, change func(*gathering.Webhook) (bool, error)) (w gathering.Webhook, err error) {
	err = p.at.around(ctx, "writing the webhook", func() (err error) { w, err = p.Webhooks.UpdateWebhook(ctx, change); return err })
	return w, err
}

type interceptedQuota struct {
	gathering.Quota
	at interceptor
}

func (p interceptedQuota) Acquire(ctx context.Context, class quota.Class, due time.Time) (permit quota.Permit, err error) {
	err = p.at.around(ctx, "acquiring", func() (err error) { permit, err = p.Quota.Acquire(ctx, class, due); return err })
	return permit, err
}

func (p interceptedQuota) Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (s quota.Settlement, err error) {
	err = p.at.around(ctx, "settling", func() (err error) { s, err = p.Quota.Settle(ctx, permit, answer); return err })
	return s, err
}

type interceptedStrava struct {
	gathering.Strava
	at interceptor
}

// unknown is the reading of a call to which the requester gave no answer.
func unknown(r gathering.Reading) gathering.Reading {
	r.Answer.Outcome, r.Answer.Calls, r.Answer.Rates = quota.Unknown, quota.CallsUncertain, nil
	return r
}

func (p interceptedStrava) Athlete(ctx context.Context, by gathering.Authorization) (a gatheringv1.Athlete, r gathering.Reading, err error) {
	var answered error
	err = p.at.around(ctx, "reading the profile", func() error { a, r, answered = p.Strava.Athlete(ctx, by); return nil })
	if err != nil {
		return gatheringv1.Athlete{}, unknown(r), err
	}
	return a, r, answered
}

func (p interceptedStrava) Activities(ctx context.Context, by gathering.Authorization, req gathering.PageRequest) (page gathering.Page, r gathering.Reading, err error) {
	var answered error
	err = p.at.around(ctx, "reading a page", func() error { page, r, answered = p.Strava.Activities(ctx, by, req); return nil })
	if err != nil {
		return gathering.Page{}, unknown(r), err
	}
	return page, r, answered
}

func (p interceptedStrava) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (a gatheringv1.Activity, r gathering.Reading, err error) {
	var answered error
	err = p.at.around(ctx, "reading an activity", func() error { a, r, answered = p.Strava.Activity(ctx, by, activityID); return nil })
	if err != nil {
		return gatheringv1.Activity{}, unknown(r), err
	}
	return a, r, answered
}

type interceptedWaker struct {
	gathering.Waker
	at interceptor
}

func (p interceptedWaker) Wake(ctx context.Context, after time.Duration) error {
	return p.at.around(ctx, "waking a gatherer", func() error { return p.Waker.Wake(ctx, after) })
}

type interceptedPublisher struct {
	gathering.Publisher
	at interceptor
}

func (p interceptedPublisher) Publish(ctx context.Context, events ...event.Event) error {
	return p.at.around(ctx, "publishing", func() error { return p.Publisher.Publish(ctx, events...) })
}
