package handler

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// How many activities a page has.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// APIRoutes returns the routes of the HTTP API. The athlete is always that of
// the session; no parameter can name another one.
func APIRoutes(r *activity.Reader) map[string]api.Handler {
	a := endpoints{r}
	return map[string]api.Handler{
		"GET /v1/me/activities":      session(a.list),
		"GET /v1/me/activities/{id}": session(a.get),
		"GET /v1/me/stats":           session(a.stats),
		"GET /v1/me/sync":            session(a.sync),
	}
}

type endpoints struct{ reader *activity.Reader }

// session calls answer for a valid session and answers with 401 otherwise.
func session(answer func(context.Context, activity.Authorization, api.Request) (api.Response, error)) api.Handler {
	return api.Authenticated(func(ctx context.Context, id api.Identity, req api.Request) (api.Response, error) {
		res, err := answer(ctx, activity.Authorization{AthleteID: id.AthleteID, Generation: id.Generation}, req)
		if errors.Is(err, activity.ErrRevoked) {
			return api.Unauthorized(), nil
		}
		return res, err
	})
}

// summary is an activity in a response, with Strava's names and units. The
// conversion from [gatheringv1.Activity] compiles only if no field is missing.
type summary struct {
	ID                 int64    `json:"id"`
	Name               string   `json:"name"`
	SportType          string   `json:"sport_type"`
	StartDate          string   `json:"start_date"`
	StartDateLocal     string   `json:"start_date_local"`
	Timezone           string   `json:"timezone,omitempty"`
	Distance           float64  `json:"distance"`
	MovingTime         int64    `json:"moving_time"`
	ElapsedTime        int64    `json:"elapsed_time"`
	TotalElevationGain float64  `json:"total_elevation_gain"`
	AverageSpeed       *float64 `json:"average_speed,omitempty"`
	MaxSpeed           *float64 `json:"max_speed,omitempty"`
	AverageHeartrate   *float64 `json:"average_heartrate,omitempty"`
	MaxHeartrate       *float64 `json:"max_heartrate,omitempty"`
	AverageWatts       *float64 `json:"average_watts,omitempty"`
	Kilojoules         *float64 `json:"kilojoules,omitempty"`
	Trainer            bool     `json:"trainer"`
	Commute            bool     `json:"commute"`
	Manual             bool     `json:"manual"`
	Private            bool     `json:"private"`
	Visibility         string   `json:"visibility,omitempty"`
	DeviceName         string   `json:"device_name,omitempty"`
}

// item is an activity and when it was last read at Strava.
type item struct {
	summary
	ReadAt time.Time `json:"read_at"`
}

func itemOf(r activity.Record) item { return item{summary(*r.Activity), r.ReadAt} }

type page struct {
	Items      []any   `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

// Formats of a list.
const (
	formatJSON = "json"
	formatCSV  = "csv"
)

// The maximum length of search terms, in characters.
const (
	maxName      = 100
	maxSportType = 50
)

// list takes: after and before, Unix seconds, both exclusive, as Strava's list
// of activities does; sport_type; q, a part of the name; limit, 1 to 200;
// cursor, the next_cursor of the page before; fields; format, json or csv. A
// page with a next one may be short: see [activity.Page].
func (a endpoints) list(ctx context.Context, by activity.Authorization, req api.Request) (api.Response, error) {
	q := req.QueryStringParameters
	selection, err := selectionOf(req)
	if err != nil {
		return api.Response{}, err
	}
	fields, err := api.SelectFields[item](req)
	if err != nil {
		return api.Response{}, err
	}
	format, given := q["format"]
	if given && format != formatJSON && format != formatCSV {
		return api.Response{}, fault.New(fault.Invalid, "format must be json or csv")
	}
	found, err := a.reader.List(ctx, by, selection)
	if err != nil {
		return api.Response{}, err
	}
	var items []item
	for _, r := range found.Records {
		items = append(items, itemOf(r))
	}
	out := page{Items: []any{}}
	for _, one := range items {
		out.Items = append(out.Items, fields.Of(one))
	}
	if found.Next != nil {
		cursor := encodeCursor(*found.Next)
		out.NextCursor = &cursor
	}
	res := api.JSON(http.StatusOK, out)
	if format == formatCSV {
		// Only the first page has the names of the fields, so that the pages can be
		// concatenated to one file.
		res = api.CSV("activities.csv", fields.CSV(q["cursor"] == "", items...))
	}
	if out.NextCursor != nil {
		res.Headers["Link"] = nextPage(q, *out.NextCursor)
	}
	return res, nil
}

// nextPage returns the Link header field for the next page (RFC 8288), with the
// same format and filters. All of them were checked, so they are short.
func nextPage(q map[string]string, cursor string) string {
	query := url.Values{"cursor": {cursor}}
	for _, name := range []string{"after", "before", "sport_type", "q", "limit", "fields", "format"} {
		if value, given := q[name]; given {
			query.Set(name, value)
		}
	}
	return "</v1/me/activities?" + query.Encode() + `>; rel="next"`
}

func selectionOf(req api.Request) (activity.Selection, error) {
	q := req.QueryStringParameters
	s := activity.Selection{In: activity.Everything(), Name: q["q"]}
	if utf8.RuneCountInString(s.Name) > maxName {
		return s, fault.New(fault.Invalid, "q must be no longer than %d characters", maxName)
	}
	sportType, err := sportTypeOf(req)
	if err != nil {
		return s, err
	}
	s.SportType = sportType
	after, given, err := wholeNumber(req, "after", activity.MinStart, activity.MaxStart)
	if err != nil {
		return s, err
	}
	if given {
		s.In.From = activity.Position{Start: after, ID: math.MaxInt64}
	}
	before, given, err := wholeNumber(req, "before", activity.MinStart, activity.MaxStart)
	if err != nil {
		return s, err
	}
	if given {
		s.In.To = activity.Position{Start: before}
	}
	limit, given, err := wholeNumber(req, "limit", 1, maxLimit)
	if err != nil {
		return s, err
	}
	s.Limit = defaultLimit
	if given {
		s.Limit = int(limit)
	}
	if cursor := q["cursor"]; cursor != "" { // An empty cursor is the first page's.
		p, err := decodeCursor(cursor)
		if err != nil {
			return s, err
		}
		if p.Less(s.In.To) {
			s.In.To = p
		}
	}
	return s, nil
}

// get takes fields. It answers with 404 unless the id is that of an activity of
// this athlete.
func (a endpoints) get(ctx context.Context, by activity.Authorization, req api.Request) (api.Response, error) {
	fields, err := api.SelectFields[item](req)
	if err != nil {
		return api.Response{}, err
	}
	// An id that is no number becomes 0, which no activity has.
	id, _ := parseWhole(req.PathParameters["id"])
	found, err := a.reader.Get(ctx, by, id)
	if err != nil {
		return api.Response{}, err
	}
	return api.JSON(http.StatusOK, fields.Of(itemOf(found))), nil
}

type totals struct {
	Count              int64   `json:"count"`
	Distance           float64 `json:"distance"`
	MovingTime         int64   `json:"moving_time"`
	ElapsedTime        int64   `json:"elapsed_time"`
	TotalElevationGain float64 `json:"total_elevation_gain"`
}

type periodTotals struct {
	Start string `json:"start"`
	totals
}

type stats struct {
	Periods []periodTotals `json:"periods"`
	Total   totals         `json:"total"`
}

// stats takes: by, one of day, week, month and year, which is the default;
// sport_type. It omits periods without activities and returns the newest first.
func (a endpoints) stats(ctx context.Context, by activity.Authorization, req api.Request) (api.Response, error) {
	period := activity.Year
	if s, given := req.QueryStringParameters["by"]; given {
		period = activity.Period(s)
	}
	if !slices.Contains([]activity.Period{activity.Day, activity.Week, activity.Month, activity.Year}, period) {
		return api.Response{}, fault.New(fault.Invalid, "by must be day, week, month or year")
	}
	sportType, err := sportTypeOf(req)
	if err != nil {
		return api.Response{}, err
	}
	found, err := a.reader.Stats(ctx, by, period, sportType)
	if err != nil {
		return api.Response{}, err
	}
	out := stats{Periods: []periodTotals{}, Total: totals(found.Total)}
	for _, p := range found.Periods {
		out.Periods = append(out.Periods, periodTotals{p.Start, totals(p.Totals)})
	}
	return api.JSON(http.StatusOK, out), nil
}

type syncProgress struct {
	State      string     `json:"state"`
	Gathered   int        `json:"gathered"`
	WaitingFor *string    `json:"waiting_for"`
	ResumesAt  *time.Time `json:"resumes_at"`
	FinishesAt *time.Time `json:"finishes_at"`
}

func (a endpoints) sync(ctx context.Context, by activity.Authorization, _ api.Request) (api.Response, error) {
	s, err := a.reader.Sync(ctx, by)
	out := syncProgress{State: s.State, Gathered: s.Gathered, ResumesAt: s.ResumesAt, FinishesAt: s.FinishesAt}
	if s.WaitingFor != "" {
		out.WaitingFor = &s.WaitingFor
	}
	return api.JSON(http.StatusOK, out), err
}

// sportTypeOf returns the empty string for all sport types.
func sportTypeOf(req api.Request) (string, error) {
	s := req.QueryStringParameters["sport_type"]
	if utf8.RuneCountInString(s) > maxSportType {
		return "", fault.New(fault.Invalid, "sport_type must be no longer than %d characters", maxSportType)
	}
	return s, nil
}

// parseWhole reads a whole number in JSON's form: digits without leading zeros,
// perhaps after a minus. It returns 0 and false if s has another form.
func parseWhole(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s != strconv.FormatInt(n, 10) {
		return 0, false
	}
	return n, true
}

func wholeNumber(req api.Request, name string, low, high int64) (n int64, given bool, err error) {
	s, given := req.QueryStringParameters[name]
	if !given {
		return 0, false, nil
	}
	n, is := parseWhole(s)
	if !is || n < low || n > high {
		return 0, true, fault.New(fault.Invalid, "%s must be a whole number from %d to %d", name, low, high)
	}
	return n, true, nil
}

// A cursor is a position in base64url: 8 bytes of start and 8 of id. It does
// not identify an athlete.
const cursorSize = 16

func encodeCursor(p activity.Position) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, cursorSize), uint64(p.Start))
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, uint64(p.ID)))
}

func decodeCursor(s string) (activity.Position, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != cursorSize {
		return activity.Position{}, errCursor
	}
	p := activity.Position{Start: int64(binary.BigEndian.Uint64(b)), ID: int64(binary.BigEndian.Uint64(b[8:]))}
	if p.Start < activity.MinStart || p.Start > activity.MaxStart || p.ID <= 0 {
		return activity.Position{}, errCursor
	}
	return p, nil
}

var errCursor = fault.New(fault.Invalid, "cursor must be the next_cursor of an earlier answer")
