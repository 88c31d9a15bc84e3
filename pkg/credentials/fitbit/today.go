package fitbit

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// ReadToday reads what the page shows of an account, by two calls (Fitbit Web
// API, Get Profile and Get Daily Activity Summary). A person who does not let
// us read the profile has no name, and the day is then that of UTC.
//
// Its errors are get's, and [credentials.ErrProviderUnavailable] for an answer
// that makes no sense.
func ReadToday(_ context.Context, now time.Time, get func(path string) (credentialsv1.ForwardResponse, error)) (credentials.Today, error) {
	var profile struct {
		User struct {
			DisplayName string `json:"displayName"`
			OffsetMilli int64  `json:"offsetFromUTCMillis"`
		} `json:"user"`
	}
	if err := read(get, "/1/user/-/profile.json", http.StatusForbidden, &profile); err != nil {
		return credentials.Today{}, err
	}
	date := now.UTC().Add(time.Duration(profile.User.OffsetMilli) * time.Millisecond).Format(time.DateOnly)
	var day struct {
		Summary *struct {
			Steps  int `json:"steps"`
			Fairly int `json:"fairlyActiveMinutes"`
			Very   int `json:"veryActiveMinutes"`
		} `json:"summary"`
	}
	if err := read(get, "/1/user/-/activities/date/"+date+".json", 0, &day); err != nil {
		return credentials.Today{}, err
	}
	if day.Summary == nil {
		return credentials.Today{}, credentials.ErrProviderUnavailable
	}
	return credentials.Today{
		DisplayName: profile.User.DisplayName, Date: date,
		Steps: day.Summary.Steps, ActiveMinutes: day.Summary.Fairly + day.Summary.Very,
	}, nil
}

// read calls path and decodes the body of the response. It leaves into
// unchanged if the response has the status without.
func read(get func(path string) (credentialsv1.ForwardResponse, error), path string, without int, into any) error {
	res, err := get(path)
	switch {
	case err != nil:
		return err
	case res.Status == without:
		return nil
	case res.Status != http.StatusOK, json.Unmarshal([]byte(res.Body), into) != nil:
		return credentials.ErrProviderUnavailable
	}
	return nil
}
