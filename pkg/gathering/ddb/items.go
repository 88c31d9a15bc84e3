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
	inboxSK   = "inbox"
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

// jobItem is a job as stored. Queue and Due are the keys of the index.
type jobItem struct {
	Queue        string `dynamodbav:"queue,omitempty"`
	Due          int64  `dynamodbav:"due,omitempty"`          // Unix ms
	JobDue       int64  `dynamodbav:"job_due,omitempty"`      // Unix ms
	LeasedUntil  int64  `dynamodbav:"leased_until,omitempty"` // Unix ms
	RetryAt      int64  `dynamodbav:"retry_at,omitempty"`     // Unix ms
	Failures     int    `dynamodbav:"failures,omitempty"`
	FailingSince int64  `dynamodbav:"failing_since,omitempty"` // Unix ms
}

func toJobItem(j gathering.Job) jobItem {
	i := jobItem{
		Queue: string(j.Class), JobDue: millis(j.Due), LeasedUntil: millis(j.LeasedUntil),
		RetryAt: millis(j.RetryAt), Failures: j.Failures, FailingSince: millis(j.FailingSince),
	}
	if i.Queue != "" {
		i.Due = max(i.JobDue, i.LeasedUntil)
	}
	return i
}

func (i jobItem) job() gathering.Job {
	return gathering.Job{
		Class: quota.Class(i.Queue), Due: instant(i.JobDue), LeasedUntil: instant(i.LeasedUntil),
		RetryAt: instant(i.RetryAt), Failures: i.Failures, FailingSince: instant(i.FailingSince),
	}
}

// athleteItem is an athlete as stored. Revision counts its writes, and each
// write is conditional on it.
type athleteItem struct {
	itemKey
	jobItem
	Revision   int64      `dynamodbav:"revision"`
	AthleteID  int64      `dynamodbav:"athlete_id"`
	Generation int64      `dynamodbav:"generation"`
	State      string     `dynamodbav:"state"`
	RevokedAt  int64      `dynamodbav:"revoked_at,omitempty"`  // Unix ms
	JoinedAt   int64      `dynamodbav:"joined_at,omitempty"`   // Unix ms
	ProfiledAt int64      `dynamodbav:"profiled_at,omitempty"` // Unix ms
	Scan       *scanItem  `dynamodbav:"scan,omitempty"`
	Last       *lastItem  `dynamodbav:"last,omitempty"`
	Holes      []holeItem `dynamodbav:"holes,omitempty"`
	Doubts     int        `dynamodbav:"doubts,omitempty"`
	DoubtedAt  int64      `dynamodbav:"doubted_at,omitempty"` // Unix ms
	ExpiresAt  int64      `dynamodbav:"expires_at,omitempty"` // Unix s: TTL
}

type scanItem struct {
	ID          string           `dynamodbav:"id"`
	Begun       int64            `dynamodbav:"begun"` // Unix ms
	First       bool             `dynamodbav:"first,omitempty"`
	Cutoff      int64            `dynamodbav:"cutoff"` // Unix ms
	Profiled    bool             `dynamodbav:"profiled,omitempty"`
	Windows     []scanWindowItem `dynamodbav:"windows,omitempty"`
	Offset      int              `dynamodbav:"offset,omitempty"`
	Size        int              `dynamodbav:"size,omitempty"`
	Skipped     int              `dynamodbav:"skipped,omitempty"`
	LastID      int64            `dynamodbav:"last_id,omitempty"`
	LastStart   int64            `dynamodbav:"last_start,omitempty"` // Unix ms
	LargestSize int              `dynamodbav:"largest_size,omitempty"`
	EndReads    int              `dynamodbav:"end_reads,omitempty"`
	Holes       []holeItem       `dynamodbav:"holes,omitempty"`
	Pages       int              `dynamodbav:"pages,omitempty"`
	Chunks      int              `dynamodbav:"chunks,omitempty"`
	Activities  int              `dynamodbav:"activities,omitempty"`
	Oldest      int64            `dynamodbav:"oldest,omitempty"` // Unix ms
	RecentPages []pageItem       `dynamodbav:"recent_pages,omitempty"`
	Confirmed   bool             `dynamodbav:"confirmed,omitempty"`
	Sequence    int64            `dynamodbav:"sequence"`
	State       string           `dynamodbav:"state"`
	WaitingFor  string           `dynamodbav:"waiting_for,omitempty"`
	ResumesAt   int64            `dynamodbav:"resumes_at,omitempty"` // Unix ms
}

type scanWindowItem struct {
	From  int64 `dynamodbav:"from,omitempty"` // Unix ms
	To    int64 `dynamodbav:"to"`             // Unix ms
	Probe bool  `dynamodbav:"probe,omitempty"`
	// OlderID and NewerID are the ids of the neighbours of a probe.
	OlderID int64 `dynamodbav:"older,omitempty"`
	NewerID int64 `dynamodbav:"newer,omitempty"`
}

type holeItem struct {
	Older   int64 `dynamodbav:"older,omitempty"` // Unix ms
	Newer   int64 `dynamodbav:"newer,omitempty"` // Unix ms
	Listed  bool  `dynamodbav:"listed,omitempty"`
	OlderID int64 `dynamodbav:"older_id,omitempty"`
	NewerID int64 `dynamodbav:"newer_id,omitempty"`
}

type pageItem struct {
	At         int64 `dynamodbav:"at"` // Unix ms
	Offset     int   `dynamodbav:"offset"`
	Pages      int   `dynamodbav:"pages"`
	Chunks     int   `dynamodbav:"chunks"`
	Activities int   `dynamodbav:"activities"`
}

type lastItem struct {
	Started    int64 `dynamodbav:"started"`            // Unix ms
	Finished   int64 `dynamodbav:"finished,omitempty"` // Unix ms
	Pages      int   `dynamodbav:"pages"`
	Activities int   `dynamodbav:"activities"`
}

func toHoleItems(holes []gathering.Hole) (items []holeItem) {
	for _, h := range holes {
		items = append(items, holeItem{millis(h.Older), millis(h.Newer), h.Listed, h.OlderID, h.NewerID})
	}
	return items
}

func holesOf(items []holeItem) (holes []gathering.Hole) {
	for _, i := range items {
		holes = append(holes, gathering.Hole{
			Older: instant(i.Older), Newer: instant(i.Newer), OlderID: i.OlderID, NewerID: i.NewerID, Listed: i.Listed,
		})
	}
	return holes
}

func toScanItem(s gathering.Scan) *scanItem {
	item := &scanItem{
		ID: s.ID, Begun: millis(s.Begun), First: s.First, Cutoff: millis(s.Cutoff), Profiled: s.Profiled,
		Offset: s.Offset, Size: s.Size, Skipped: s.Skipped, LastID: s.LastID, LastStart: millis(s.LastStart),
		LargestSize: s.LargestSize, EndReads: s.EndReads, Holes: toHoleItems(s.Holes),
		Pages: s.Pages, Chunks: s.Chunks, Activities: s.Activities, Oldest: millis(s.Oldest), Confirmed: s.Confirmed,
		Sequence: s.Sequence, State: s.State, WaitingFor: s.WaitingFor, ResumesAt: millis(s.ResumesAt),
	}
	for _, w := range s.Windows {
		item.Windows = append(item.Windows, scanWindowItem{millis(w.From), millis(w.To), w.Probe, w.Neighbours[0], w.Neighbours[1]})
	}
	for _, p := range s.RecentPages {
		item.RecentPages = append(item.RecentPages, pageItem{millis(p.At), p.Offset, p.Pages, p.Chunks, p.Activities})
	}
	return item
}

func (i *scanItem) scan() gathering.Scan {
	s := gathering.Scan{
		ID: i.ID, Begun: instant(i.Begun), First: i.First, Cutoff: instant(i.Cutoff), Profiled: i.Profiled,
		Offset: i.Offset, Size: i.Size, Skipped: i.Skipped, LastID: i.LastID, LastStart: instant(i.LastStart),
		LargestSize: i.LargestSize, EndReads: i.EndReads, Holes: holesOf(i.Holes),
		Pages: i.Pages, Chunks: i.Chunks, Activities: i.Activities, Oldest: instant(i.Oldest), Confirmed: i.Confirmed,
		Sequence: i.Sequence, State: i.State, WaitingFor: i.WaitingFor, ResumesAt: instant(i.ResumesAt),
	}
	for _, w := range i.Windows {
		s.Windows = append(s.Windows, gathering.Window{
			From: instant(w.From), To: instant(w.To), Probe: w.Probe, Neighbours: [2]int64{w.OlderID, w.NewerID},
		})
	}
	for _, p := range i.RecentPages {
		s.RecentPages = append(s.RecentPages, gathering.PageRead{
			At: instant(p.At), Offset: p.Offset, Pages: p.Pages, Chunks: p.Chunks, Activities: p.Activities,
		})
	}
	return s
}

func toAthleteItem(a gathering.Athlete, revision int64) athleteItem {
	item := athleteItem{
		itemKey: itemKey{athleteKey(a.ID), stateSK}, jobItem: toJobItem(a.Job), Revision: revision,
		AthleteID: a.ID, Generation: a.Generation, State: string(a.State), RevokedAt: millis(a.RevokedAt),
		JoinedAt: millis(a.JoinedAt), ProfiledAt: millis(a.ProfiledAt),
		Holes: toHoleItems(a.Holes), Doubts: a.Doubts, DoubtedAt: millis(a.DoubtedAt),
	}
	if !a.RevokedAt.IsZero() {
		item.ExpiresAt = a.RevokedAt.Add(gathering.TombstoneLife).Unix()
	}
	if a.Scan.ID != "" {
		item.Scan = toScanItem(a.Scan)
	}
	if l := a.Last; !l.Started.IsZero() {
		item.Last = &lastItem{millis(l.Started), millis(l.Finished), l.Pages, l.Activities}
	}
	return item
}

func (i athleteItem) athlete() gathering.Athlete {
	a := gathering.Athlete{
		ID: i.AthleteID, Generation: i.Generation, State: gathering.State(i.State), Job: i.job(),
		RevokedAt: instant(i.RevokedAt), JoinedAt: instant(i.JoinedAt), ProfiledAt: instant(i.ProfiledAt),
		Holes: holesOf(i.Holes), Doubts: i.Doubts, DoubtedAt: instant(i.DoubtedAt),
	}
	if i.Scan != nil {
		a.Scan = i.Scan.scan()
	}
	if l := i.Last; l != nil {
		a.Last = gathering.CompletedScan{Started: instant(l.Started), Finished: instant(l.Finished), Pages: l.Pages, Activities: l.Activities}
	}
	return a
}

// inboxItem is an inbox as stored.
type inboxItem struct {
	itemKey
	jobItem
	Revision         int64      `dynamodbav:"revision"`
	AthleteID        int64      `dynamodbav:"athlete_id"`
	Generation       int64      `dynamodbav:"generation"`
	Hints            []hintItem `dynamodbav:"hints,omitempty"`
	Overflowed       bool       `dynamodbav:"overflowed,omitempty"`
	RefreshRequested bool       `dynamodbav:"refresh_requested,omitempty"`
	ListedAt         int64      `dynamodbav:"listed_at,omitempty"` // Unix ms
	PacedAt          int64      `dynamodbav:"paced_at,omitempty"`  // Unix ms
	ListSize         int        `dynamodbav:"list_size,omitempty"`
	Scarce           bool       `dynamodbav:"scarce,omitempty"`
	FailedOn         int64      `dynamodbav:"failed_on,omitempty"`
	QuestionScanID   string     `dynamodbav:"question_scan_id,omitempty"`
	QuestionSeen     bool       `dynamodbav:"question_seen,omitempty"`
	QuestionGone     int        `dynamodbav:"question_gone,omitempty"`
}

type hintItem struct {
	Aspect       string `dynamodbav:"aspect"`
	ActivityID   int64  `dynamodbav:"activity_id,omitempty"`
	EventTime    int64  `dynamodbav:"event_time"`           // Unix s
	ReceivedAt   int64  `dynamodbav:"received_at"`          // Unix ms
	NotBefore    int64  `dynamodbav:"not_before,omitempty"` // Unix ms
	Attempts     int    `dynamodbav:"attempts,omitempty"`
	Failures     int    `dynamodbav:"failures,omitempty"`
	FailingSince int64  `dynamodbav:"failing_since,omitempty"` // Unix ms
	Unlisted     bool   `dynamodbav:"unlisted,omitempty"`
}

func toHintItem(h gathering.Hint) hintItem {
	return hintItem{
		h.Aspect, h.ActivityID, h.EventTime, millis(h.ReceivedAt), millis(h.NotBefore),
		h.Attempts, h.Failures, millis(h.FailingSince), h.Unlisted,
	}
}

func (i hintItem) hint() gathering.Hint {
	return gathering.Hint{
		Aspect: i.Aspect, ActivityID: i.ActivityID, EventTime: i.EventTime, ReceivedAt: instant(i.ReceivedAt), NotBefore: instant(i.NotBefore),
		Attempts: i.Attempts, Failures: i.Failures, FailingSince: instant(i.FailingSince), Unlisted: i.Unlisted,
	}
}

func toInboxItem(m gathering.Inbox, revision int64) inboxItem {
	item := inboxItem{
		itemKey: itemKey{athleteKey(m.AthleteID), inboxSK}, jobItem: toJobItem(m.Job), Revision: revision,
		AthleteID: m.AthleteID, Generation: m.Generation, Overflowed: m.Overflowed, RefreshRequested: m.RefreshRequested,
		ListedAt: millis(m.ListedAt), PacedAt: millis(m.PacedAt), ListSize: m.ListSize, Scarce: m.Scarce, FailedOn: m.FailedOn,
		QuestionScanID: m.Question.ScanID, QuestionSeen: m.Question.Seen, QuestionGone: m.Question.Gone,
	}
	for _, h := range m.Hints {
		item.Hints = append(item.Hints, toHintItem(h))
	}
	return item
}

func (i inboxItem) inbox() gathering.Inbox {
	m := gathering.Inbox{
		AthleteID: i.AthleteID, Generation: i.Generation, Job: i.job(), Overflowed: i.Overflowed, RefreshRequested: i.RefreshRequested,
		ListedAt: instant(i.ListedAt), PacedAt: instant(i.PacedAt), ListSize: i.ListSize, Scarce: i.Scarce, FailedOn: i.FailedOn,
		Question: gathering.Question{ScanID: i.QuestionScanID, Seen: i.QuestionSeen, Gone: i.QuestionGone},
	}
	for _, h := range i.Hints {
		m.Hints = append(m.Hints, h.hint())
	}
	return m
}

// seenItem is the digest of a webhook event that was delivered.
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

// millis and instant convert a time to Unix milliseconds and back; the zero
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
