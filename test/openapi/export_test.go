package openapi_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// The test follows only the links of the export and its pages.
func TestALongHistoryIsExportedWithinTheRateLimit(t *testing.T) {
	const long = 20_000
	s := newSystem(t)
	for n := 0; n < long-activitiesEach; n += 1000 {
		gathered := gatheringv1.ActivitiesGathered{AthleteID: bob, Generation: generation, ReadAt: now}
		for i := n; i < min(n+1000, long-activitiesEach); i++ {
			gathered.Activities = append(gathered.Activities, activitytest.Activity(bob*1_000_000+int64(i), i, mark(bob)))
		}
		kittest.Must(t, s.recorder.ActivitiesGathered(t.Context(), event.Meta{}, gathered))
	}
	var export struct {
		Profile struct{ Firstname string }
		Parts   []struct{ Name, Type, Href string }
	}
	kittest.Must(t, json.Unmarshal([]byte(s.mustGet("/v1/me/export").Body), &export))
	if export.Profile.Firstname != mark(bob) {
		t.Errorf("the profile is %+v", export.Profile)
	}
	found := map[string]map[string]bool{"application/json": {}, "text/csv": {}}
	for _, part := range export.Parts {
		if part.Name != "activities" {
			s.mustGet(part.Href)
			continue
		}
		ids, pages := s.exportedIDs(part.Href, part.Type)
		if pages > api.LimitBurst-len(export.Parts) {
			t.Errorf("%s: %d pages exceed the rate limit", part.Type, pages)
		}
		for _, id := range ids {
			found[part.Type][id] = true
		}
		if len(ids) != len(found[part.Type]) {
			t.Errorf("%s: some activities appear twice", part.Type)
		}
	}
	delete(found["text/csv"], "id") // the name of the column
	for kind, ids := range found {
		if len(ids) != long {
			t.Errorf("%s: %d activities", kind, len(ids))
		}
	}
}

// mustGet calls an address of the API as Bob.
func (s *system) mustGet(address string) api.Response {
	s.t.Helper()
	u, err := url.Parse(address)
	kittest.Must(s.t, err)
	query := map[string]string{}
	for name, values := range u.Query() {
		query[name] = values[0]
	}
	req, res := s.send(call{route: "GET " + u.Path, query: query, cookie: s.session(bob)})
	if err := s.document.Check(req, res); err != nil || res.StatusCode != 200 {
		s.t.Fatalf("%s: %d, %v", address, res.StatusCode, err)
	}
	return res
}

// exportedIDs follows the pages of activities and returns the first column of
// CSV or the ids of JSON, and the number of pages.
func (s *system) exportedIDs(href, mediaType string) (ids []string, pages int) {
	s.t.Helper()
	for ; href != ""; pages++ {
		res := s.mustGet(href)
		href, _, _ = strings.Cut(strings.TrimPrefix(res.Headers["Link"], "<"), ">")
		if mediaType == "text/csv" {
			records, err := csv.NewReader(strings.NewReader(res.Body)).ReadAll()
			kittest.Must(s.t, err)
			for _, record := range records {
				ids = append(ids, record[0])
			}
			continue
		}
		var page struct{ Items []struct{ ID int64 } }
		kittest.Must(s.t, json.Unmarshal([]byte(res.Body), &page))
		for _, one := range page.Items {
			ids = append(ids, fmt.Sprint(one.ID))
		}
	}
	return ids, pages
}
