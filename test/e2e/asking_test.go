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

// refresh has the athlete ask for what is new, while no webhook comes.
func refresh(t *testing.T, c *cloud, b *browser, athlete int64) {
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "hold"}, nil)
	id := c.addActivity(t, athlete, strava.NewActivity{Name: "Nobody told"})
	never(t, 3*time.Second, "the activity came by itself", func() bool { return b.do("GET", activityPath(id)).status == http.StatusOK })
	a := b.do("POST", "/v1/me/sync")
	var asked struct {
		RequestedAt time.Time `json:"requested_at"`
		StatusURL   string    `json:"status_url"`
	}
	if err := json.Unmarshal(a.body, &asked); a.status != http.StatusAccepted || err != nil || time.Since(asked.RequestedAt) > time.Minute || asked.StatusURL != "/v1/me/sync" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	eventually(t, soon, "the new activity", func() bool { return b.do("GET", activityPath(id)).status == http.StatusOK })
	a = b.do("POST", "/v1/me/sync")
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); a.status != http.StatusTooManyRequests || err != nil || wait <= 13*60 || wait > 15*60 {
		t.Errorf("asking again at once: %d, again in %q seconds", a.status, a.header.Get("Retry-After"))
	}
	c.control(t, "PATCH", "/settings", map[string]any{"delivery": "send"}, nil)
	c.control(t, "POST", "/release", map[string]any{"order": "shuffle"}, nil)
}

// export follows the export's parts. The athlete has asked for a refresh.
func export(t *testing.T, c *cloud, b *browser, athlete int64) {
	var held struct {
		AthleteID int64 `json:"athlete_id"`
		Profile   struct {
			ID int64 `json:"id"`
		} `json:"profile"`
		RefreshAskedAt *time.Time `json:"refresh_asked_at"`
		Parts          []struct{ Name, Type, Href string }
	}
	b.get("/v1/me/export", &held)
	if held.AthleteID != athlete || held.Profile.ID != athlete || held.RefreshAskedAt == nil {
		t.Errorf("%+v", held)
	}
	want := ids(c.truth(t, athlete), func(a strava.Activity) int64 { return a.ID })
	next := regexp.MustCompile(`^<([^>]+)>; rel="next"$`)
	seen := map[string]bool{}
	for _, part := range held.Parts {
		seen[part.Name+" "+part.Type] = true
		var text []byte
		var got []int64
		for href := part.Href; href != ""; {
			a := b.do("GET", href)
			if kind, _, _ := strings.Cut(a.header.Get("Content-Type"), ";"); a.status != http.StatusOK || kind != part.Type {
				t.Fatalf("%s: %d %s", href, a.status, kind)
			}
			text = append(text, a.body...)
			var page struct{ Items []item }
			if part.Type == "application/json" && json.Unmarshal(a.body, &page) == nil {
				got = append(got, ids(page.Items, func(i item) int64 { return i.ID })...)
			}
			href = ""
			if m := next.FindStringSubmatch(a.header.Get("Link")); m != nil {
				href = m[1]
			}
		}
		if part.Name != "activities" {
			continue
		}
		if part.Type == "text/csv" {
			rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
			if err != nil || len(rows) == 0 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			for _, row := range rows[1:] {
				id, _ := strconv.ParseInt(row[slices.Index(rows[0], "id")], 10, 64)
				got = append(got, id)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %d activities of %d", part.Type, len(got), len(want))
		}
	}
	for _, part := range []string{"activities application/json", "activities text/csv", "totals application/json", "gathering application/json", "keys application/json"} {
		if !seen[part] {
			t.Errorf("no %s", part)
		}
	}
}
