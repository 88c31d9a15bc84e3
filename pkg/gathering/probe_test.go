package gathering_test

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// probe sees every call that a gatherer makes to the world outside it, right
// before and right after, in order. What it does there, such as killing the
// gatherer, happens at that very point.
type probe func(point string)

// watch is the gatherer with at looking at all its calls.
func (at probe) watch(g gathering.Gatherer) *gathering.Gatherer {
	g.Athletes = probedAthletes{g.Athletes, at}
	g.Inboxes = probedMailboxes{g.Inboxes, at}
	g.Jobs = probedPlan{g.Jobs, at}
	g.Webhooks = probedWebhooks{g.Webhooks, at}
	g.Quota = probedQuota{g.Quota, at}
	g.Strava = probedStrava{g.Strava, at}
	g.Publisher = probedPublisher{g.Publisher, at}
	return &g
}

// around calls at before and after do.
func (at probe) around(what string, do func()) {
	at("before " + what)
	do()
	at("after " + what)
}

type probedAthletes struct {
	gathering.Athletes
	at probe
}

func (p probedAthletes) Athlete(ctx context.Context, id int64) (a gathering.Athlete, err error) {
	p.at.around("reading the athlete", func() { a, err = p.Athletes.Athlete(ctx, id) })
	return a, err
}

func (p probedAthletes) Update(ctx context.Context, id int64, change func(*gathering.Athlete) error) (a gathering.Athlete, err error) {
	p.at.around("writing the athlete", func() { a, err = p.Athletes.Update(ctx, id, change) })
	return a, err
}

type probedMailboxes struct {
	gathering.Inboxes
	at probe
}

func (p probedMailboxes) UpdateInbox(ctx context.Context, id int64, change func(*gathering.Inbox) error) (m gathering.Inbox, err error) {
	p.at.around("writing the inbox", func() { m, err = p.Inboxes.UpdateInbox(ctx, id, change) })
	return m, err
}

type probedPlan struct {
	gathering.JobQueue
	at probe
}

func (p probedPlan) Due(ctx context.Context, class quota.Class, at time.Time, after *gathering.JobRef, limit int) (places []gathering.JobRef, err error) {
	p.at.around("listing work", func() { places, err = p.JobQueue.Due(ctx, class, at, after, limit) })
	return places, err
}

type probedWebhooks struct {
	gathering.Webhooks
	at probe
}

func (p probedWebhooks) Webhook(ctx context.Context) (w gathering.Webhook, err error) {
	p.at.around("reading the webhook", func() { w, err = p.Webhooks.Webhook(ctx) })
	return w, err
}

type probedQuota struct {
	gathering.Quota
	at probe
}

func (p probedQuota) Reserve(ctx context.Context, class quota.Class, due time.Time) (permit quota.Permit, err error) {
	p.at.around("reserving", func() { permit, err = p.Quota.Reserve(ctx, class, due) })
	return permit, err
}

func (p probedQuota) Settle(ctx context.Context, permit quota.Permit, answer quota.Answer) (s quota.Standing, err error) {
	p.at.around("settling", func() { s, err = p.Quota.Settle(ctx, permit, answer) })
	return s, err
}

type probedStrava struct {
	gathering.Strava
	at probe
}

func (p probedStrava) Athlete(ctx context.Context, id, generation int64) (a gatheringv1.Athlete, r gathering.Reading, err error) {
	p.at.around("reading the profile", func() { a, r, err = p.Strava.Athlete(ctx, id, generation) })
	return a, r, err
}

func (p probedStrava) Activities(ctx context.Context, id, generation int64, req gathering.PageRequest) (page gathering.Page, r gathering.Reading, err error) {
	p.at.around("reading a page", func() { page, r, err = p.Strava.Activities(ctx, id, generation, req) })
	return page, r, err
}

func (p probedStrava) Activity(ctx context.Context, id, generation, activityID int64) (a gatheringv1.Activity, r gathering.Reading, err error) {
	p.at.around("reading an activity", func() { a, r, err = p.Strava.Activity(ctx, id, generation, activityID) })
	return a, r, err
}

type probedPublisher struct {
	gathering.Publisher
	at probe
}

func (p probedPublisher) Publish(ctx context.Context, events ...event.Event) (err error) {
	p.at.around("publishing", func() { err = p.Publisher.Publish(ctx, events...) })
	return err
}
