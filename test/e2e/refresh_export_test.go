package e2e_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

// refreshFindsActivity requests a refresh while webhooks are held back.
func refreshFindsActivity(t *testing.T, c *cloud, b *browser, athlete int64) {
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "hold"}, nil)
	id := c.addActivity(t, athlete, strava.NewActivity{Name: "No webhook"})
	never(t, 3*time.Second, "the activity without a refresh", func() bool { return b.do("GET", activityPath(id)).status == http.StatusOK })
	a := b.do("POST", "/v1/me/sync")
	var accepted struct {
		RequestedAt time.Time `json:"requested_at"`
		StatusURL   string    `json:"status_url"`
	}
	if err := json.Unmarshal(a.body, &accepted); a.status != http.StatusAccepted || err != nil || time.Since(accepted.RequestedAt) > time.Minute || accepted.StatusURL != "/v1/me/sync" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	eventually(t, soon, "the new activity", func() bool { return b.do("GET", activityPath(id)).status == http.StatusOK })
	a = b.do("POST", "/v1/me/sync")
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != http.StatusTooManyRequests || err != nil || wait <= 13*60 || wait > 15*60 {
		t.Errorf("an immediate second refresh: status %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "send"}, nil)
	c.control(t, "POST", "/release", map[string]any{"order": "shuffle"}, nil)
}

// exportIsComplete reads all parts of the export. The athlete has requested a
// refresh before.
func exportIsComplete(t *testing.T, c *cloud, b *browser, athlete int64) {
	var exported struct {
		AthleteID int64 `json:"athlete_id"`
		Profile   struct {
			ID int64 `json:"id"`
		} `json:"profile"`
		RefreshAskedAt *time.Time `json:"refresh_asked_at"`
		Parts          []struct{ Name, Type, Href string }
	}
	b.get("/v1/me/export", &exported)
	if exported.AthleteID != athlete || exported.Profile.ID != athlete || exported.RefreshAskedAt == nil {
		t.Errorf("%+v", exported)
	}
	want := ids(c.stravaActivities(t, athlete), func(a strava.Activity) int64 { return a.ID })
	seen := map[string]bool{}
	for _, part := range exported.Parts {
		seen[part.Name+" "+part.Type] = true
		pages := b.exportPages(part.Href, part.Type)
		if part.Name != "activities" {
			continue
		}
		var got []int64
		if part.Type == "text/csv" {
			got = csvIDs(t, pages)
		} else {
			got = jsonIDs(pages)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %d activities of %d", part.Type, len(got), len(want))
		}
	}
	for _, part := range []string{"activities application/json", "activities text/csv", "totals application/json", "gathering application/json", "keys application/json"} {
		if !seen[part] {
			t.Errorf("the export has no %s", part)
		}
	}
}

var nextLink = regexp.MustCompile(`^<([^>]+)>; rel="next"$`)

// exportPages reads all pages of a part of the export.
func (b *browser) exportPages(href, mediaType string) (pages [][]byte) {
	b.t.Helper()
	for {
		a := b.do("GET", href)
		if got, _, _ := strings.Cut(a.header.Get("Content-Type"), ";"); a.status != http.StatusOK || got != mediaType {
			b.t.Fatalf("%s: %d %s", href, a.status, got)
		}
		pages = append(pages, a.body)
		next := nextLink.FindStringSubmatch(a.header.Get("Link"))
		if next == nil {
			return pages
		}
		href = next[1]
	}
}

func jsonIDs(pages [][]byte) (got []int64) {
	for _, body := range pages {
		var page struct{ Items []item }
		if json.Unmarshal(body, &page) == nil {
			got = append(got, ids(page.Items, func(i item) int64 { return i.ID })...)
		}
	}
	return got
}

func csvIDs(t *testing.T, pages [][]byte) (got []int64) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(bytes.Join(pages, nil))).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows[1:] {
		id, _ := strconv.ParseInt(row[slices.Index(rows[0], "id")], 10, 64)
		got = append(got, id)
	}
	return got
}
