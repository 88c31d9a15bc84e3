package handler

import (
	"context"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/athlete"
)

// export is the athlete plane's part of an athlete's data, and where the other
// parts are.
type export struct {
	AthleteID     int64    `json:"athlete_id"`
	Authorization *consent `json:"authorization"`
	// LinkedAccounts are accounts at other providers.
	LinkedAccounts []linkedAccount `json:"linked_accounts"`
	Profile        *profile        `json:"profile"`
	// ProfileReadAt is when the profile was read from Strava.
	ProfileReadAt *time.Time `json:"profile_read_at"`
	// GatherRequestedAt is the time of the athlete's last gather request.
	GatherRequestedAt *time.Time `json:"refresh_asked_at"`
	// ErasureRequest is the athlete's pending request to leave.
	ErasureRequest *erasureRequest `json:"leaving"`
	Parts          []exportPart    `json:"parts"`
	Withheld       []withheld      `json:"withheld"`
}

// exportPart is where more of the athlete's data is.
type exportPart struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Href string `json:"href"`
}

// exportParts are the data of other boundaries. A part that has a next page
// says where that is.
var exportParts = []exportPart{
	{"activities", "application/json", "/v1/me/activities?limit=200"},
	{"activities", "text/csv", "/v1/me/activities?limit=200&format=csv"},
	{"totals", "application/json", "/v1/me/stats?by=month"},
	{"gathering", "application/json", "/v1/me/sync"},
	{"keys", "application/json", "/v1/me/keys"},
}

// withheld is stored data that is not exported.
type withheld struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
}

// allWithheld is the data of all boundaries that no part of an export contains.
var allWithheld = []withheld{
	{"access and refresh tokens of Strava and of linked accounts", "They give access to the accounts."},
	{"digests of sessions and keys, and the day of a session's last use", "They only recognize your browsers and programs."},
	{"ids of activities that were deleted or hidden, for 7 days", "They keep late messages from bringing one back."},
	{"ids and times of webhook events that wait", "Each is a hint to read an activity, which is among the activities then."},
	{"digests of webhook events, for 3 days", "They only recognize an event that arrives again."},
	{"the progress of reading the history, in counts and times", "The part called gathering sums it up."},
}

func (e endpoints) export(ctx context.Context, by athlete.Authorization, _ api.Request) (api.Response, error) {
	account, err := e.service.Me(ctx, by)
	out := export{
		AthleteID: by.AthleteID, Authorization: consentOf(account), LinkedAccounts: linkedAccounts(account),
		Profile: (*profile)(account.Profile), GatherRequestedAt: optional(account.GatherRequestedAt),
		Parts: exportParts, Withheld: allWithheld,
	}
	if out.Profile != nil {
		out.ProfileReadAt = optional(account.ProfileReadAt)
	}
	if r := account.ErasureRequest; r != nil && r.Generation >= by.Generation {
		out.ErasureRequest = erasureRequestOf(r.Receipt)
	}
	return api.JSON(http.StatusOK, out), err
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
