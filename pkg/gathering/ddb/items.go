package ddb

import (
	"strconv"
	"time"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
)

// Parts of keys.
const (
	athletePK = "athlete#"
	stateSK   = "state"
	mailboxSK = "mailbox"
	seenSK    = "seen#"

	webhookPK, webhookSK = "webhook", "webhook"
	daySK                = "day#"
)

func athleteKey(id int64) string { return athletePK + strconv.FormatInt(id, 10) }

// itemKey names an item.
type itemKey struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
}

// turnItem is a turn as stored. Queue and Due are what the index is over.
type turnItem struct {
	Queue     string `dynamodbav:"queue,omitempty"`
	Due       int64  `dynamodbav:"due,omitempty"`        // Unix ms
	TurnDue   int64  `dynamodbav:"turn_due,omitempty"`   // Unix ms
	HeldUntil int64  `dynamodbav:"held_until,omitempty"` // Unix ms
	Failures  int    `dynamodbav:"turn_failures,omitempty"`
}

func toTurn(t gathering.Job) turnItem {
	i := turnItem{Queue: string(t.Class), TurnDue: millis(t.Due), HeldUntil: millis(t.LeasedUntil), Failures: t.Failures}
	if i.Queue != "" {
		i.Due = max(i.TurnDue, i.HeldUntil)
	}
	return i
}

func (i turnItem) turn() gathering.Job {
	return gathering.Job{Class: quota.Class(i.Queue), Due: instant(i.TurnDue), LeasedUntil: instant(i.HeldUntil), Failures: i.Failures}
}

// athleteItem is an athlete as stored. Revision counts its writes and is what
// a write is conditional on.
type athleteItem struct {
	itemKey
	turnItem
	Revision   int64     `dynamodbav:"revision"`
	AthleteID  int64     `dynamodbav:"athlete_id"`
	Generation int64     `dynamodbav:"generation"`
	State      string    `dynamodbav:"state"`
	RevokedAt  int64     `dynamodbav:"revoked_at,omitempty"`  // Unix ms
	JoinedAt   int64     `dynamodbav:"joined_at,omitempty"`   // Unix ms
	ProfiledAt int64     `dynamodbav:"profiled_at,omitempty"` // Unix ms
	Scan       *scanItem `dynamodbav:"scan,omitempty"`
	Last       *passItem `dynamodbav:"last,omitempty"`
	ExpiresAt  int64     `dynamodbav:"expires_at,omitempty"` // Unix s: TTL
}

type scanItem struct {
	ID         string     `dynamodbav:"id"`
	Begun      int64      `dynamodbav:"begun"` // Unix ms
	First      bool       `dynamodbav:"first"`
	Before     int64      `dynamodbav:"before"` // Unix ms
	Profiled   bool       `dynamodbav:"profiled"`
	NextPage   int        `dynamodbav:"next_page"`
	Chunks     int        `dynamodbav:"chunks"`
	Activities int        `dynamodbav:"activities"`
	Oldest     int64      `dynamodbav:"oldest,omitempty"` // Unix ms
	Trail      []stepItem `dynamodbav:"trail,omitempty"`
	Sequence   int64      `dynamodbav:"sequence"`
	State      string     `dynamodbav:"state"`
	WaitingFor string     `dynamodbav:"waiting_for,omitempty"`
	ResumesAt  int64      `dynamodbav:"resumes_at,omitempty"` // Unix ms
}

type stepItem struct {
	At         int64 `dynamodbav:"at"` // Unix ms
	Chunks     int   `dynamodbav:"chunks"`
	Activities int   `dynamodbav:"activities"`
}

type passItem struct {
	Started  int64 `dynamodbav:"started"`            // Unix ms
	Finished int64 `dynamodbav:"finished,omitempty"` // Unix ms
	Pages    int   `dynamodbav:"pages"`
}

func toAthleteItem(a gathering.Athlete, revision int64) athleteItem {
	item := athleteItem{
		itemKey: itemKey{athleteKey(a.ID), stateSK}, turnItem: toTurn(a.Job), Revision: revision,
		AthleteID: a.ID, Generation: a.Generation, State: string(a.State), RevokedAt: millis(a.RevokedAt),
		JoinedAt: millis(a.JoinedAt), ProfiledAt: millis(a.ProfiledAt),
	}
	if !a.RevokedAt.IsZero() {
		item.ExpiresAt = a.RevokedAt.Add(gathering.TombstoneLife).Unix()
	}
	if s := a.Scan; s.ID != "" {
		item.Scan = &scanItem{
			ID: s.ID, Begun: millis(s.Begun), First: s.First, Before: millis(s.Before), Profiled: s.Profiled, NextPage: s.NextPage,
			Chunks: s.Chunks, Activities: s.Activities, Oldest: millis(s.Oldest),
			Sequence: s.Sequence, State: s.State, WaitingFor: s.WaitingFor, ResumesAt: millis(s.ResumesAt),
		}
		for _, step := range s.RecentPages {
			item.Scan.Trail = append(item.Scan.Trail, stepItem{millis(step.At), step.Chunks, step.Activities})
		}
	}
	if p := a.Last; !p.Started.IsZero() {
		item.Last = &passItem{millis(p.Started), millis(p.Finished), p.Pages}
	}
	return item
}

func (i athleteItem) athlete() gathering.Athlete {
	a := gathering.Athlete{
		ID: i.AthleteID, Generation: i.Generation, State: gathering.State(i.State), Job: i.turn(),
		RevokedAt: instant(i.RevokedAt), JoinedAt: instant(i.JoinedAt), ProfiledAt: instant(i.ProfiledAt),
	}
	if s := i.Scan; s != nil {
		a.Scan = gathering.Scan{
			ID: s.ID, Begun: instant(s.Begun), First: s.First, Before: instant(s.Before), Profiled: s.Profiled, NextPage: s.NextPage,
			Chunks: s.Chunks, Activities: s.Activities, Oldest: instant(s.Oldest),
			Sequence: s.Sequence, State: s.State, WaitingFor: s.WaitingFor, ResumesAt: instant(s.ResumesAt),
		}
		for _, step := range s.Trail {
			a.Scan.RecentPages = append(a.Scan.RecentPages, gathering.PageRead{At: instant(step.At), Chunks: step.Chunks, Activities: step.Activities})
		}
	}
	if p := i.Last; p != nil {
		a.Last = gathering.CompletedScan{Started: instant(p.Started), Finished: instant(p.Finished), Pages: p.Pages}
	}
	return a
}

// mailboxItem is a mailbox as stored.
type mailboxItem struct {
	itemKey
	turnItem
	Revision   int64      `dynamodbav:"revision"`
	AthleteID  int64      `dynamodbav:"athlete_id"`
	Generation int64      `dynamodbav:"generation"`
	Hints      []hintItem `dynamodbav:"hints,omitempty"`
	Flooded    bool       `dynamodbav:"flooded,omitempty"`
	Asked      bool       `dynamodbav:"asked,omitempty"`
	ListedAt   int64      `dynamodbav:"listed_at,omitempty"` // Unix ms
	PacedAt    int64      `dynamodbav:"paced_at,omitempty"`  // Unix ms
}

type hintItem struct {
	Aspect     string `dynamodbav:"aspect"`
	ActivityID int64  `dynamodbav:"activity_id,omitempty"`
	EventTime  int64  `dynamodbav:"event_time"`           // Unix s
	ReceivedAt int64  `dynamodbav:"received_at"`          // Unix ms
	NotBefore  int64  `dynamodbav:"not_before,omitempty"` // Unix ms
	Attempts   int    `dynamodbav:"attempts,omitempty"`
	Unlisted   bool   `dynamodbav:"unlisted,omitempty"`
}

func toHintItem(h gathering.Hint) hintItem {
	return hintItem{h.Aspect, h.ActivityID, h.EventTime, millis(h.ReceivedAt), millis(h.NotBefore), h.Attempts, h.Unlisted}
}

func toMailboxItem(m gathering.Inbox, revision int64) mailboxItem {
	item := mailboxItem{
		itemKey: itemKey{athleteKey(m.AthleteID), mailboxSK}, turnItem: toTurn(m.Job), Revision: revision,
		AthleteID: m.AthleteID, Generation: m.Generation, Flooded: m.Overflowed, Asked: m.RefreshRequested, ListedAt: millis(m.ListedAt), PacedAt: millis(m.PacedAt),
	}
	for _, h := range m.Hints {
		item.Hints = append(item.Hints, toHintItem(h))
	}
	return item
}

func (i mailboxItem) mailbox() gathering.Inbox {
	m := gathering.Inbox{
		AthleteID: i.AthleteID, Generation: i.Generation, Job: i.turn(),
		Overflowed: i.Flooded, RefreshRequested: i.Asked, ListedAt: instant(i.ListedAt), PacedAt: instant(i.PacedAt),
	}
	for _, h := range i.Hints {
		m.Hints = append(m.Hints, gathering.Hint{
			Aspect: h.Aspect, ActivityID: h.ActivityID, EventTime: h.EventTime, ReceivedAt: instant(h.ReceivedAt),
			NotBefore: instant(h.NotBefore), Attempts: h.Attempts, Unlisted: h.Unlisted,
		})
	}
	return m
}

// seenItem is a notice that was delivered.
type seenItem struct {
	itemKey
	ExpiresAt int64 `dynamodbav:"expires_at"` // Unix s: TTL
}

type webhookItem struct {
	itemKey
	Revision          int64      `dynamodbav:"revision"`
	CallbackKeySHA256 string     `dynamodbav:"callback_key_sha256"`
	VerifyTokenSHA256 string     `dynamodbav:"verify_token_sha256"`
	SubscriptionID    int64      `dynamodbav:"subscription_id"`
	Version           int64      `dynamodbav:"version"`
	LastSeen          int64      `dynamodbav:"last_seen,omitempty"` // Unix ms
	Callback          healthItem `dynamodbav:"callback"`
	Subscription      healthItem `dynamodbav:"subscription"`
	AskedAt           int64      `dynamodbav:"asked_at,omitempty"` // Unix ms
	GapFrom           int64      `dynamodbav:"gap_from,omitempty"` // Unix ms
	GapTo             int64      `dynamodbav:"gap_to,omitempty"`   // Unix ms
	GapPlanned        bool       `dynamodbav:"gap_planned,omitempty"`
}

type healthItem struct {
	WellAt       int64  `dynamodbav:"well_at,omitempty"`       // Unix ms
	FailingSince int64  `dynamodbav:"failing_since,omitempty"` // Unix ms
	Failure      string `dynamodbav:"failure,omitempty"`
}

func toHealthItem(h gathering.Health) healthItem {
	return healthItem{millis(h.WellAt), millis(h.FailingSince), h.Failure}
}

func (i healthItem) health() gathering.Health {
	return gathering.Health{WellAt: instant(i.WellAt), FailingSince: instant(i.FailingSince), Failure: i.Failure}
}

func toWebhookItem(w gathering.Webhook, revision int64) webhookItem {
	return webhookItem{
		itemKey{webhookPK, webhookSK}, revision, w.CallbackKeySHA256, w.VerifyTokenSHA256, w.SubscriptionID, w.Version,
		millis(w.LastSeen), toHealthItem(w.Callback), toHealthItem(w.Subscription), millis(w.AskedAt),
		millis(w.Gap.From), millis(w.Gap.To), w.Gap.Planned,
	}
}

func (i webhookItem) webhook() gathering.Webhook {
	return gathering.Webhook{
		CallbackKeySHA256: i.CallbackKeySHA256, VerifyTokenSHA256: i.VerifyTokenSHA256,
		SubscriptionID: i.SubscriptionID, Version: i.Version, LastSeen: instant(i.LastSeen),
		Callback: i.Callback.health(), Subscription: i.Subscription.health(), AskedAt: instant(i.AskedAt),
		Gap: gathering.Gap{From: instant(i.GapFrom), To: instant(i.GapTo), Planned: i.GapPlanned},
	}
}

// millis and instant turn a time into Unix milliseconds and back; the zero
// time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
