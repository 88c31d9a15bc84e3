package ddb

import (
	"strconv"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/dynamo"
)

// Parts of keys.
const (
	athletePK = "athlete#"
	stateSK   = "state"
	inboxSK   = "inbox"
	seenSK    = "seen#"

	daySK = "day#"
)

// itemKey is the primary key of an item.
type itemKey struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`
}

var webhookKey = itemKey{"webhook", "webhook"}

func athleteKey(id int64, sk string) itemKey {
	return itemKey{athletePK + strconv.FormatInt(id, 10), sk}
}

func (k itemKey) item() dynamo.Item {
	return dynamo.Item{"pk": dynamo.Text(k.PK), "sk": dynamo.Text(k.SK)}
}

// jobItem is a job as stored. Queue and Due are the keys of the index.
type jobItem struct {
	Queue        string        `dynamodbav:"queue,omitempty"`
	Due          dynamo.Millis `dynamodbav:"due,omitempty"`
	JobDue       dynamo.Millis `dynamodbav:"job_due,omitempty"`
	LeasedUntil  dynamo.Millis `dynamodbav:"leased_until,omitempty"`
	LeaseOwner   string        `dynamodbav:"lease_owner,omitempty"`
	RetryAt      dynamo.Millis `dynamodbav:"retry_at,omitempty"`
	Failures     int           `dynamodbav:"failures,omitempty"`
	FailingSince dynamo.Millis `dynamodbav:"failing_since,omitempty"`
}

func toJobItem(j gathering.Job) jobItem {
	i := jobItem{
		Queue: string(j.Class), JobDue: dynamo.MillisOf(j.Due), LeasedUntil: dynamo.MillisOf(j.LeasedUntil), LeaseOwner: j.LeaseOwner,
		RetryAt: dynamo.MillisOf(j.RetryAt), Failures: j.Failures, FailingSince: dynamo.MillisOf(j.FailingSince),
	}
	if i.Queue != "" {
		i.Due = max(i.JobDue, i.LeasedUntil)
	}
	return i
}

func (i jobItem) job() gathering.Job {
	return gathering.Job{
		Class: quota.Class(i.Queue), Due: i.JobDue.Time(), LeasedUntil: i.LeasedUntil.Time(), LeaseOwner: i.LeaseOwner,
		RetryAt: i.RetryAt.Time(), Failures: i.Failures, FailingSince: i.FailingSince.Time(),
	}
}

// athleteItem is an athlete as stored.
type athleteItem struct {
	itemKey
	jobItem
	dynamo.Revision
	AthleteID     int64          `dynamodbav:"athlete_id"`
	Generation    int64          `dynamodbav:"generation"`
	State         string         `dynamodbav:"state"`
	RevokedAt     dynamo.Millis  `dynamodbav:"revoked_at,omitempty"`
	JoinedAt      dynamo.Millis  `dynamodbav:"joined_at,omitempty"`
	ProfileReadAt dynamo.Millis  `dynamodbav:"profile_read_at,omitempty"`
	Scan          *scanItem      `dynamodbav:"scan,omitempty"`
	Last          *lastItem      `dynamodbav:"last,omitempty"`
	Holes         []holeItem     `dynamodbav:"holes,omitempty"`
	WrongScans    int            `dynamodbav:"wrong_scans,omitempty"`
	WrongScanAt   dynamo.Millis  `dynamodbav:"wrong_scan_at,omitempty"`
	ExpiresAt     dynamo.Seconds `dynamodbav:"expires_at,omitempty"`
}

type scanItem struct {
	ID          string        `dynamodbav:"id"`
	StartedAt   dynamo.Millis `dynamodbav:"started_at"`
	First       bool          `dynamodbav:"first,omitempty"`
	Cutoff      dynamo.Millis `dynamodbav:"cutoff"`
	ProfileDone bool          `dynamodbav:"profile_done,omitempty"`
	Stretches   []stretchItem `dynamodbav:"stretches,omitempty"`
	Offset      int           `dynamodbav:"offset,omitempty"`
	Size        int           `dynamodbav:"size,omitempty"`
	Skipped     int           `dynamodbav:"skipped,omitempty"`
	Unread      bool          `dynamodbav:"unread,omitempty"`
	LastID      int64         `dynamodbav:"last_id,omitempty"`
	LastStart   dynamo.Millis `dynamodbav:"last_start,omitempty"`
	LargestSize int           `dynamodbav:"largest_size,omitempty"`
	EndReads    int           `dynamodbav:"end_reads,omitempty"`
	Holes       []holeItem    `dynamodbav:"holes,omitempty"`
	Pages       int           `dynamodbav:"pages,omitempty"`
	Chunks      int           `dynamodbav:"chunks,omitempty"`
	Activities  int           `dynamodbav:"activities,omitempty"`
	Oldest      dynamo.Millis `dynamodbav:"oldest,omitempty"`
	RecentPages []pageItem    `dynamodbav:"recent_pages,omitempty"`
	Confirmed   bool          `dynamodbav:"confirmed,omitempty"`
	Sequence    int64         `dynamodbav:"sequence"`
	State       string        `dynamodbav:"state"`
	WaitingFor  string        `dynamodbav:"waiting_for,omitempty"`
	ResumesAt   dynamo.Millis `dynamodbav:"resumes_at,omitempty"`
}

type stretchItem struct {
	From  dynamo.Millis `dynamodbav:"from,omitempty"`
	To    dynamo.Millis `dynamodbav:"to"`
	Probe bool          `dynamodbav:"probe,omitempty"`
	// OlderID and NewerID are the ids of the neighbours of a probe.
	OlderID int64 `dynamodbav:"older,omitempty"`
	NewerID int64 `dynamodbav:"newer,omitempty"`
}

type holeItem struct {
	Older   dynamo.Millis `dynamodbav:"older,omitempty"`
	Newer   dynamo.Millis `dynamodbav:"newer,omitempty"`
	Listed  bool          `dynamodbav:"listed,omitempty"`
	OlderID int64         `dynamodbav:"older_id,omitempty"`
	NewerID int64         `dynamodbav:"newer_id,omitempty"`
}

type pageItem struct {
	At         dynamo.Millis `dynamodbav:"at"`
	Offset     int           `dynamodbav:"offset"`
	Pages      int           `dynamodbav:"pages"`
	Chunks     int           `dynamodbav:"chunks"`
	Activities int           `dynamodbav:"activities"`
}

type lastItem struct {
	Started    dynamo.Millis `dynamodbav:"started"`
	Finished   dynamo.Millis `dynamodbav:"finished,omitempty"`
	Pages      int           `dynamodbav:"pages"`
	Activities int           `dynamodbav:"activities"`
}

func toHoleItems(holes []gathering.Hole) (items []holeItem) {
	for _, h := range holes {
		items = append(items, holeItem{dynamo.MillisOf(h.Older), dynamo.MillisOf(h.Newer), h.Listed, h.OlderID, h.NewerID})
	}
	return items
}

func holesOf(items []holeItem) (holes []gathering.Hole) {
	for _, i := range items {
		holes = append(holes, gathering.Hole{
			Older: i.Older.Time(), Newer: i.Newer.Time(), OlderID: i.OlderID, NewerID: i.NewerID, Listed: i.Listed,
		})
	}
	return holes
}

func toScanItem(s gathering.Scan) *scanItem {
	item := &scanItem{
		ID: s.ID, StartedAt: dynamo.MillisOf(s.StartedAt), First: s.First, Cutoff: dynamo.MillisOf(s.Cutoff), ProfileDone: s.ProfileDone,
		Offset: s.Offset, Size: s.Size, Skipped: s.Skipped, Unread: s.Unread, LastID: s.LastID, LastStart: dynamo.MillisOf(s.LastStart),
		LargestSize: s.LargestSize, EndReads: s.EndReads, Holes: toHoleItems(s.Holes),
		Pages: s.Pages, Chunks: s.Chunks, Activities: s.Activities, Oldest: dynamo.MillisOf(s.Oldest), Confirmed: s.Confirmed,
		Sequence: s.Sequence, State: s.State, WaitingFor: s.WaitingFor, ResumesAt: dynamo.MillisOf(s.ResumesAt),
	}
	for _, st := range s.Stretches {
		item.Stretches = append(item.Stretches, stretchItem{dynamo.MillisOf(st.From), dynamo.MillisOf(st.To), st.Probe, st.Neighbours[0], st.Neighbours[1]})
	}
	for _, p := range s.RecentPages {
		item.RecentPages = append(item.RecentPages, pageItem{dynamo.MillisOf(p.At), p.Offset, p.Pages, p.Chunks, p.Activities})
	}
	return item
}

func (i *scanItem) scan() gathering.Scan {
	s := gathering.Scan{
		ID: i.ID, StartedAt: i.StartedAt.Time(), First: i.First, Cutoff: i.Cutoff.Time(), ProfileDone: i.ProfileDone,
		Offset: i.Offset, Size: i.Size, Skipped: i.Skipped, Unread: i.Unread, LastID: i.LastID, LastStart: i.LastStart.Time(),
		LargestSize: i.LargestSize, EndReads: i.EndReads, Holes: holesOf(i.Holes),
		Pages: i.Pages, Chunks: i.Chunks, Activities: i.Activities, Oldest: i.Oldest.Time(), Confirmed: i.Confirmed,
		Sequence: i.Sequence, State: i.State, WaitingFor: i.WaitingFor, ResumesAt: i.ResumesAt.Time(),
	}
	for _, st := range i.Stretches {
		s.Stretches = append(s.Stretches, gathering.Stretch{
			From: st.From.Time(), To: st.To.Time(), Probe: st.Probe, Neighbours: [2]int64{st.OlderID, st.NewerID},
		})
	}
	for _, p := range i.RecentPages {
		s.RecentPages = append(s.RecentPages, gathering.PageRead{
			At: p.At.Time(), Offset: p.Offset, Pages: p.Pages, Chunks: p.Chunks, Activities: p.Activities,
		})
	}
	return s
}

func toAthleteItem(a gathering.Athlete) athleteItem {
	item := athleteItem{
		itemKey: athleteKey(a.ID, stateSK), jobItem: toJobItem(a.Job),
		AthleteID: a.ID, Generation: a.Generation, State: string(a.State), RevokedAt: dynamo.MillisOf(a.RevokedAt),
		JoinedAt: dynamo.MillisOf(a.JoinedAt), ProfileReadAt: dynamo.MillisOf(a.ProfileReadAt),
		Holes: toHoleItems(a.Holes), WrongScans: a.WrongScans, WrongScanAt: dynamo.MillisOf(a.WrongScanAt),
		ExpiresAt: dynamo.SecondsOf(a.TombstoneUntil()),
	}
	if a.Scan.ID != "" {
		item.Scan = toScanItem(a.Scan)
	}
	if l := a.Last; !l.Started.IsZero() {
		item.Last = &lastItem{dynamo.MillisOf(l.Started), dynamo.MillisOf(l.Finished), l.Pages, l.Activities}
	}
	return item
}

func (i athleteItem) athlete() gathering.Athlete {
	a := gathering.Athlete{
		ID: i.AthleteID, Generation: i.Generation, State: gathering.State(i.State), Job: i.job(),
		RevokedAt: i.RevokedAt.Time(), JoinedAt: i.JoinedAt.Time(), ProfileReadAt: i.ProfileReadAt.Time(),
		Holes: holesOf(i.Holes), WrongScans: i.WrongScans, WrongScanAt: i.WrongScanAt.Time(),
	}
	if i.Scan != nil {
		a.Scan = i.Scan.scan()
	}
	if l := i.Last; l != nil {
		a.Last = gathering.CompletedScan{Started: l.Started.Time(), Finished: l.Finished.Time(), Pages: l.Pages, Activities: l.Activities}
	}
	return a
}

// inboxItem is an inbox as stored.
type inboxItem struct {
	itemKey
	jobItem
	dynamo.Revision
	AthleteID       int64         `dynamodbav:"athlete_id"`
	Generation      int64         `dynamodbav:"generation"`
	Hints           []hintItem    `dynamodbav:"hints,omitempty"`
	Overflowed      bool          `dynamodbav:"overflowed,omitempty"`
	GatherRequested bool          `dynamodbav:"gather_requested,omitempty"`
	ListedAt        dynamo.Millis `dynamodbav:"listed_at,omitempty"`
	PacedAt         dynamo.Millis `dynamodbav:"paced_at,omitempty"`
	ListSize        int           `dynamodbav:"list_size,omitempty"`
	Scarce          bool          `dynamodbav:"scarce,omitempty"`
	FailedOn        int64         `dynamodbav:"failed_on,omitempty"`
	QuestionScanID  string        `dynamodbav:"question_scan_id,omitempty"`
	QuestionSeen    bool          `dynamodbav:"question_seen,omitempty"`
	QuestionGone    int           `dynamodbav:"question_gone,omitempty"`
}

type hintItem struct {
	Aspect       string        `dynamodbav:"aspect"`
	ActivityID   int64         `dynamodbav:"activity_id,omitempty"`
	EventTime    int64         `dynamodbav:"event_time"` // Unix s
	ReceivedAt   dynamo.Millis `dynamodbav:"received_at"`
	NotBefore    dynamo.Millis `dynamodbav:"not_before,omitempty"`
	Attempts     int           `dynamodbav:"attempts,omitempty"`
	Failures     int           `dynamodbav:"failures,omitempty"`
	FailingSince dynamo.Millis `dynamodbav:"failing_since,omitempty"`
	Unlisted     bool          `dynamodbav:"unlisted,omitempty"`
}

func toHintItem(h gathering.Hint) hintItem {
	return hintItem{
		h.Aspect, h.ActivityID, h.EventTime, dynamo.MillisOf(h.ReceivedAt), dynamo.MillisOf(h.NotBefore),
		h.Attempts, h.Failures, dynamo.MillisOf(h.FailingSince), h.Unlisted,
	}
}

func (i hintItem) hint() gathering.Hint {
	return gathering.Hint{
		Aspect: i.Aspect, ActivityID: i.ActivityID, EventTime: i.EventTime, ReceivedAt: i.ReceivedAt.Time(), NotBefore: i.NotBefore.Time(),
		Attempts: i.Attempts, Failures: i.Failures, FailingSince: i.FailingSince.Time(), Unlisted: i.Unlisted,
	}
}

func toInboxItem(m gathering.Inbox) inboxItem {
	item := inboxItem{
		itemKey: athleteKey(m.AthleteID, inboxSK), jobItem: toJobItem(m.Job),
		AthleteID: m.AthleteID, Generation: m.Generation, Overflowed: m.Overflowed, GatherRequested: m.GatherRequested,
		ListedAt: dynamo.MillisOf(m.ListedAt), PacedAt: dynamo.MillisOf(m.PacedAt), ListSize: m.ListSize, Scarce: m.Scarce, FailedOn: m.FailedOn,
		QuestionScanID: m.Question.ScanID, QuestionSeen: m.Question.Seen, QuestionGone: m.Question.Gone,
	}
	for _, h := range m.Hints {
		item.Hints = append(item.Hints, toHintItem(h))
	}
	return item
}

func (i inboxItem) inbox() gathering.Inbox {
	m := gathering.Inbox{
		AthleteID: i.AthleteID, Generation: i.Generation, Job: i.job(), Overflowed: i.Overflowed, GatherRequested: i.GatherRequested,
		ListedAt: i.ListedAt.Time(), PacedAt: i.PacedAt.Time(), ListSize: i.ListSize, Scarce: i.Scarce, FailedOn: i.FailedOn,
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
	ExpiresAt dynamo.Seconds `dynamodbav:"expires_at"`
}

type webhookItem struct {
	itemKey
	dynamo.Revision
	CallbackKeySHA256 string        `dynamodbav:"callback_key_sha256"`
	VerifyTokenSHA256 string        `dynamodbav:"verify_token_sha256"`
	SubscriptionID    int64         `dynamodbav:"subscription_id"`
	Version           int64         `dynamodbav:"version"`
	LastSeen          dynamo.Millis `dynamodbav:"last_seen,omitempty"`
	Callback          healthItem    `dynamodbav:"callback"`
	Subscription      healthItem    `dynamodbav:"subscription"`
	AskedAt           dynamo.Millis `dynamodbav:"asked_at,omitempty"`
	GapFrom           dynamo.Millis `dynamodbav:"gap_from,omitempty"`
	GapTo             dynamo.Millis `dynamodbav:"gap_to,omitempty"`
	GapPlanned        bool          `dynamodbav:"gap_planned,omitempty"`
}

type healthItem struct {
	HealthyAt    dynamo.Millis `dynamodbav:"healthy_at,omitempty"`
	FailingSince dynamo.Millis `dynamodbav:"failing_since,omitempty"`
	Failure      string        `dynamodbav:"failure,omitempty"`
}

func toHealthItem(h gathering.Health) healthItem {
	return healthItem{dynamo.MillisOf(h.HealthyAt), dynamo.MillisOf(h.FailingSince), h.Failure}
}

func (i healthItem) health() gathering.Health {
	return gathering.Health{HealthyAt: i.HealthyAt.Time(), FailingSince: i.FailingSince.Time(), Failure: i.Failure}
}

func toWebhookItem(w gathering.Webhook) webhookItem {
	return webhookItem{
		itemKey: webhookKey, CallbackKeySHA256: w.CallbackKeySHA256, VerifyTokenSHA256: w.VerifyTokenSHA256,
		SubscriptionID: w.SubscriptionID, Version: w.Version, LastSeen: dynamo.MillisOf(w.LastSeen),
		Callback: toHealthItem(w.Callback), Subscription: toHealthItem(w.Subscription), AskedAt: dynamo.MillisOf(w.AskedAt),
		GapFrom: dynamo.MillisOf(w.Gap.From), GapTo: dynamo.MillisOf(w.Gap.To), GapPlanned: w.Gap.Planned,
	}
}

func (i webhookItem) webhook() gathering.Webhook {
	return gathering.Webhook{
		CallbackKeySHA256: i.CallbackKeySHA256, VerifyTokenSHA256: i.VerifyTokenSHA256,
		SubscriptionID: i.SubscriptionID, Version: i.Version, LastSeen: i.LastSeen.Time(),
		Callback: i.Callback.health(), Subscription: i.Subscription.health(), AskedAt: i.AskedAt.Time(),
		Gap: gathering.Gap{From: i.GapFrom.Time(), To: i.GapTo.Time(), Planned: i.GapPlanned},
	}
}
