package handler

import (
	"context"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// StatusView is the state of gathering as shown to an admin.
type StatusView struct {
	Quarter WindowView `json:"quarter_hour"`
	Day     WindowView `json:"day"`
	// Outstanding is how many calls are under way, MaxOutstanding how many may be.
	Outstanding    int `json:"calls_under_way"`
	MaxOutstanding int `json:"calls_at_once"`
	// RateLimited counts today's 429s.
	RateLimited int `json:"rate_limited_today"`
	// Paused is absent unless all calls are paused. PausedSince is when the first
	// pause since Strava's last answer began.
	Paused      *PauseView `json:"paused,omitempty"`
	PausedSince *time.Time `json:"paused_since,omitempty"`
	PausesToday int        `json:"pauses_today"`
	// ExternalUsageAt is when another client of the application was last seen to
	// use the quota.
	ExternalUsageAt *time.Time           `json:"external_usage_at,omitempty"`
	Classes         map[string]ClassView `json:"classes"`
	Webhook         WebhookView          `json:"webhook"`
}

// WindowView is one of Strava's windows.
type WindowView struct {
	Limit  int       `json:"limit"`
	Used   int       `json:"used"`
	Resets time.Time `json:"resets_at"`
}

// PauseView is a pause of all calls.
type PauseView struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// ClassView is one class of work. Its reserves are calls that it keeps from the
// classes below it.
type ClassView struct {
	Waiting        int        `json:"waiting"`
	WaitingSince   *time.Time `json:"waiting_since,omitempty"`
	CallsToday     int        `json:"calls_today"`
	CallsYesterday int        `json:"calls_yesterday"`
	ReserveQuarter float64    `json:"reserve_quarter_hour"`
	ReserveDay     float64    `json:"reserve_day"`
	// Refused says that the class has to wait for the quota.
	Refused bool `json:"refused"`
}

// WebhookView is the state of the webhook.
type WebhookView struct {
	SubscriptionID int64      `json:"subscription_id"`
	LastSeen       *time.Time `json:"last_seen,omitempty"`
	// Callback and Subscription are the health of the public callback URL and of
	// Strava's subscription; absent while no subscription is configured.
	Callback     *HealthView `json:"callback,omitempty"`
	Subscription *HealthView `json:"subscription,omitempty"`
	// EventsToday and EventsYesterday count the stored events by UTC day.
	EventsToday     int `json:"events_today"`
	EventsYesterday int `json:"events_yesterday"`
	// Gap is the last gap in which events may have been lost.
	Gap *GapView `json:"gap,omitempty"`
}

// HealthView is the health of one part of the webhook.
type HealthView struct {
	// HealthyAt is when a probe last found it healthy.
	HealthyAt time.Time `json:"healthy_at"`
	// FailingSince and Failure are absent while it is healthy. The subscription's
	// Failure is "missing", "elsewhere" or "replaced".
	FailingSince *time.Time `json:"failing_since,omitempty"`
	Failure      string     `json:"failure,omitempty"`
}

func health(h gathering.Health) *HealthView {
	if h.HealthyAt.IsZero() {
		return nil
	}
	return &HealthView{h.HealthyAt, optional(h.FailingSince), h.Failure}
}

// GapView is a gap in the webhooks.
type GapView struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Planned says that the scans that repair the gap are all planned.
	Planned bool `json:"planned"`
}

// Status answers show-status.
func Status(o *gathering.Overview) func(context.Context) (StatusView, error) {
	return func(ctx context.Context) (StatusView, error) {
		s, err := o.Status(ctx)
		if err != nil {
			return StatusView{}, err
		}
		q := s.Quota
		v := StatusView{
			Quarter:     WindowView{q.Quarter.Limit, q.Quarter.Used, q.Quarter.Resets},
			Day:         WindowView{q.Day.Limit, q.Day.Used, q.Day.Resets},
			Outstanding: q.Outstanding, MaxOutstanding: q.MaxOutstanding, RateLimited: q.RateLimitedToday,
			PausedSince: optional(q.PausedSince), PausesToday: q.PausesToday, ExternalUsageAt: optional(q.ExternalUsageAt), Classes: map[string]ClassView{},
			Webhook: WebhookView{
				SubscriptionID: s.Webhook.SubscriptionID, LastSeen: optional(s.Webhook.LastSeen),
				Callback: health(s.Webhook.Callback), Subscription: health(s.Webhook.Subscription),
				EventsToday: s.EventsToday, EventsYesterday: s.EventsYesterday,
			},
		}
		if q.Pause != nil {
			v.Paused = &PauseView{q.Pause.Reason, q.Pause.Until}
		}
		if g := s.Webhook.Gap; !g.To.IsZero() {
			v.Webhook.Gap = &GapView{g.From, g.To, g.Planned}
		}
		refused := map[quota.Class]bool{}
		for _, w := range []quota.WindowStatus{q.Quarter, q.Day} {
			for _, c := range w.Refused {
				refused[c] = true
			}
		}
		for _, c := range quota.Classes {
			v.Classes[string(c)] = ClassView{
				Waiting: s.Waiting[c].Count, WaitingSince: optional(s.Waiting[c].Oldest),
				CallsToday: q.CallsToday[c], CallsYesterday: q.CallsYesterday[c],
				ReserveQuarter: q.Quarter.Reserves[c], ReserveDay: q.Day.Reserves[c], Refused: refused[c],
			}
		}
		return v, nil
	}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
