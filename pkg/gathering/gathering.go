package gathering

import (
	"time"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// State of an athlete's authorization as this boundary knows it.
type State string

// The states.
const (
	Active   State = "active"
	Degraded State = "degraded"
	Revoked  State = "revoked"
)

// Athlete is what gathering needs to remember about one.
type Athlete struct {
	ID int64
	// Generation of the authorization; 0 when there never was one.
	Generation int64
	State      State
	// RevokedAt is zero unless the state is revoked.
	RevokedAt time.Time
	Scan      Scan
}

// Scan is one walk through an athlete's whole history, newest first, in pages
// of [PageSize] until an empty one.
type Scan struct {
	ID string
	// Before pins the scan: only activities that started before it are listed,
	// so that new ones don't shift the pages.
	Before time.Time
	// NextPage is the page to read next, from 1.
	NextPage int
	// Chunks is how many chunks of activities were passed on.
	Chunks int
	// Sequence counts the reports of progress.
	Sequence int64
	// State is one of gatheringv1's.
	State      string
	WaitingFor string
	ResumesAt  time.Time
}

// PageSize is how many activities a page has; Strava's largest.
const PageSize = 200

// progressed is the scan's present state as an event.
func (a Athlete) progressed() gatheringv1.ScanProgressed {
	p := gatheringv1.ScanProgressed{
		AthleteID:  a.ID,
		Generation: a.Generation,
		ScanID:     a.Scan.ID,
		Sequence:   a.Scan.Sequence,
		State:      a.Scan.State,
		Chunks:     a.Scan.Chunks,
		WaitingFor: a.Scan.WaitingFor,
	}
	if !a.Scan.ResumesAt.IsZero() {
		at := a.Scan.ResumesAt.UTC()
		p.ResumesAt = &at
	}
	return p
}

// TombstoneLife is how long the end of an authorization is remembered: longer
// than any queue keeps a message (at most 4 days).
const TombstoneLife = 8 * 24 * time.Hour

// Pause says that Strava must not be called at all before Until.
type Pause struct {
	Until time.Time
	// For is one of gatheringv1's WaitingFor constants.
	For string
}

// Webhook is what a call of the webhook must present.
type Webhook struct {
	CallbackKeySHA256 string
	VerifyTokenSHA256 string
	// SubscriptionID is 0 while there is no push subscription.
	SubscriptionID int64
	Version        int64
}

// Kind of a job.
type Kind string

// The kinds.
const (
	// KindProfile reads the athlete's profile.
	KindProfile Kind = "profile"
	// KindPage reads the next page of the athlete's scan.
	KindPage Kind = "page"
	// KindActivity re-reads one activity that a webhook named.
	KindActivity Kind = "activity"
)

// Job is one piece of work in the queue: ids only.
type Job struct {
	Kind      Kind  `json:"kind"`
	AthleteID int64 `json:"athlete_id"`
	// Generation is 0 in jobs made from webhooks, which don't know it.
	Generation int64 `json:"generation,omitempty"`
	// ScanID and Page belong to KindPage.
	ScanID string `json:"scan_id,omitempty"`
	Page   int    `json:"page,omitempty"`
	// ActivityID and Aspect, the webhook's aspect_type, belong to
	// KindActivity.
	ActivityID int64  `json:"activity_id,omitempty"`
	Aspect     string `json:"aspect,omitempty"`
	// EventTime is the webhook's, in Unix seconds.
	EventTime int64 `json:"event_time,omitempty"`
	// Attempt counts how often this job was put back because of a failure of
	// its own; waiting for the quota doesn't count.
	Attempt int `json:"attempt,omitempty"`
}
