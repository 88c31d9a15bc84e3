package strava

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
)

// Bounds of members. A number or time beyond them is left out, a longer text is
// cut.
const (
	// maxMeasure bounds measures, in Strava's units. It is far above any real
	// one, and low enough for sums to stay precise.
	maxMeasure = 1e9
	// maxSeconds bounds moving and elapsed time: ten years.
	maxSeconds = 10 * 366 * 24 * 60 * 60
	// maxOffset bounds the offset from UTC, in seconds: a day.
	maxOffset = 24 * 60 * 60
	// maxRunes bounds texts, so that no activity makes an event grow without
	// limit. Strava's own pages take 255 for a name.
	maxRunes = 500
)

// The types of members below never fail to decode, whatever JSON they meet: an
// error would end the decoding of the whole answer.

// byteOrderMark has been seen before JSON, though RFC 8259 forbids it.
const byteOrderMark = "\ufeff"

var errNoPage = errors.New("the page is not a list of activities")

// decodePage reads a page of at most perPage activities of an athlete. It fails
// if the page as a whole makes no sense: if it is not a list of activities, has
// more of them than perPage, or has one of another athlete. The error reveals
// nothing of the content.
func decodePage(body string, athleteID int64, perPage int) (gathering.Page, error) {
	// One entry at a time, so that a page of nonsense costs no more than a good
	// one.
	decoder := json.NewDecoder(strings.NewReader(strings.TrimPrefix(body, byteOrderMark)))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return gathering.Page{}, errNoPage
	}
	skipped := counts{}
	page := gathering.Page{UnreadableMembers: skipped}
	for ; decoder.More(); page.Entries++ {
		if page.Entries == perPage {
			return gathering.Page{}, fmt.Errorf("the page holds more than the %d activities asked for", perPage)
		}
		var a *activity
		if err := decoder.Decode(&a); err != nil || a == nil {
			return gathering.Page{}, errNoPage
		}
		if a.Athlete.id != 0 && int64(a.Athlete.id) != athleteID {
			return gathering.Page{}, errors.New("the page holds an activity of another athlete")
		}
		if reduced, ok := a.reduce(skipped); ok {
			page.Activities = append(page.Activities, reduced)
		} else {
			page.Unreadable = append(page.Unreadable, page.Entries)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return gathering.Page{}, errNoPage
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return gathering.Page{}, errNoPage
	}
	return page, nil
}

// decodeActivity reads one activity and the id of its athlete, which is 0 if it
// is unreadable. skipped counts, by Strava's name, the members that were left
// out. The error reveals nothing of the content.
func decodeActivity(body []byte) (_ gatheringv1.Activity, athleteID int64, skipped map[string]int, _ error) {
	a, err := decodeObject[activity](body)
	if err != nil {
		return gatheringv1.Activity{}, 0, nil, fmt.Errorf("decode an activity: %w", err)
	}
	count := counts{}
	reduced, ok := a.reduce(count)
	if !ok {
		return gatheringv1.Activity{}, 0, nil, errors.New("the activity has no readable id or start")
	}
	return reduced, int64(a.Athlete.id), count, nil
}

// athlete is the allow-list for Strava's SummaryAthlete and DetailedAthlete
// (Strava API v3 reference).
type athlete struct {
	ID            identifier `json:"id"`
	Username      text       `json:"username"`
	Firstname     text       `json:"firstname"`
	Lastname      text       `json:"lastname"`
	ProfileMedium text       `json:"profile_medium"`
	Profile       text       `json:"profile"`
	CreatedAt     text       `json:"created_at"`
}

// decodeAthlete reads a profile. skipped counts, by Strava's name, the members
// that were left out. The error reveals nothing of the content.
func decodeAthlete(body []byte) (_ gatheringv1.Athlete, skipped map[string]int, _ error) {
	a, err := decodeObject[athlete](body)
	if err != nil {
		return gatheringv1.Athlete{}, nil, fmt.Errorf("decode an athlete: %w", err)
	}
	if a.ID == 0 {
		return gatheringv1.Athlete{}, nil, errors.New("the athlete has no readable id")
	}
	count := counts{}
	return gatheringv1.Athlete{
		ID:            int64(a.ID),
		Username:      count.text("username", a.Username),
		Firstname:     count.text("firstname", a.Firstname),
		Lastname:      count.text("lastname", a.Lastname),
		ProfileMedium: count.webURL("profile_medium", a.ProfileMedium),
		Profile:       count.webURL("profile", a.Profile),
		CreatedAt:     count.time("created_at", a.CreatedAt),
	}, count, nil
}

// decodeObject reads a JSON object whose members cannot fail to decode.
func decodeObject[T any](body []byte) (*T, error) {
	var object *T
	if json.Unmarshal([]byte(strings.TrimPrefix(string(body), byteOrderMark)), &object) != nil || object == nil {
		return nil, errors.New("the answer is not a JSON object")
	}
	return object, nil
}
