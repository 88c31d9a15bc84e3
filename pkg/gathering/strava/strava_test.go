package strava

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestRates(t *testing.T) {
	header := func(limit, usage, readLimit, readUsage string) map[string]string {
		return map[string]string{"X-Ratelimit-Limit": limit, "X-Ratelimit-Usage": usage, "X-Readratelimit-Limit": readLimit, "X-Readratelimit-Usage": readUsage}
	}
	want := &quota.Rates{
		Overall: quota.Rate{Limit: quota.Pair{Quarter: 200, Day: 2000}, Usage: quota.Pair{Quarter: 8, Day: 151}},
		Read:    quota.Rate{Limit: quota.Pair{Quarter: 100, Day: 1000}, Usage: quota.Pair{Quarter: 7, Day: 150}},
	}
	for name, tc := range map[string]struct {
		header map[string]string
		want   *quota.Rates
	}{
		"as documented": {header("200,2000", "8,151", "100,1000", "7,150"), want},
		"with spaces":   {header("200, 2000", " 8,151", "100,1000", "7,150 "), want},
		"none":          {map[string]string{}, nil},
		"one missing":   {header("200,2000", "8,151", "100,1000", ""), nil},
		"nonsense":      {header("many", "8,151", "100,1000", "7,150"), nil},
		"one window":    {header("200", "8,151", "100,1000", "7,150"), nil},
	} {
		if d := cmp.Diff(tc.want, rates(tc.header)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// limits are the headers of an answer.
var limits = map[string]string{
	"X-Ratelimit-Limit": "1,2", "X-Ratelimit-Usage": "1,2", "X-Readratelimit-Limit": "1,2", "X-Readratelimit-Usage": "1,2",
	"Date": "Sun, 22 Nov 2026 10:07:31 GMT",
}

// answered is what Strava answers with a status and a body.
func answered(status int, body string) credentialsv1.ForwardResponse {
	return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: status, Header: limits, Body: body, Calls: 1}
}

const mine = `{"id":7,"athlete":{"id":1},"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z"}`

func TestAnswersAreClassified(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 7, 30, 0, time.UTC)
	outcome := func(o string, calls int) credentialsv1.ForwardResponse {
		return credentialsv1.ForwardResponse{Outcome: o, Calls: calls}
	}
	const foreign = `{"id":7,"athlete":{"id":2},"start_date":"2025-07-20T16:00:00Z","start_date_local":"2025-07-20T16:00:00Z"}`
	type meaning struct {
		outcome quota.Outcome
		calls   int
		err     error
	}
	var (
		good         = meaning{quota.Answered, 1, nil}
		notVisible   = meaning{quota.Answered, 1, gathering.ErrNotVisible}
		unavailable  = meaning{quota.Unavailable, 1, gathering.ErrUnavailable}
		maintenance  = meaning{quota.Maintenance, 1, gathering.ErrUnavailable}
		tooMany      = meaning{quota.RateLimited, 1, gathering.ErrRateLimited}
		html         = "<html>Strava is temporarily unavailable</html>"
		notFoundJSON = `{"message":"Record Not Found","errors":[{"resource":"Activity","field":"id","code":"invalid"}]}`
	)
	type answer struct {
		response credentialsv1.ForwardResponse
		fails    error
		// What it means for a page, one activity and the profile.
		page, activity, profile meaning
	}
	same := func(r credentialsv1.ForwardResponse, fails error, m meaning) answer { return answer{r, fails, m, m, m} }
	for name, tc := range map[string]answer{
		"a page":               {answered(200, "["+mine+"]"), nil, good, unavailable, unavailable},
		"an empty page":        {answered(200, "[]"), nil, good, unavailable, unavailable},
		"an object":            {answered(200, mine), nil, unavailable, good, unavailable},
		"a profile":            {answered(200, `{"id":1}`), nil, unavailable, unavailable, good},
		"another's profile":    {answered(200, `{"id":2}`), nil, unavailable, unavailable, unavailable},
		"another's":            {answered(200, foreign), nil, unavailable, notVisible, unavailable},
		"a page of another's":  {answered(200, "["+foreign+"]"), nil, unavailable, unavailable, unavailable},
		"another activity":     {answered(200, strings.Replace(mine, `"id":7`, `"id":8`, 1)), nil, unavailable, unavailable, unavailable},
		"no athlete":           {answered(200, strings.Replace(mine, `{"id":1}`, `null`, 1)), nil, unavailable, unavailable, unavailable},
		"a message":            {answered(200, `{"message":"error"}`), nil, unavailable, unavailable, unavailable},
		"null":                 {answered(200, "null"), nil, unavailable, unavailable, unavailable},
		"nothing":              {answered(200, ""), nil, unavailable, unavailable, unavailable},
		"HTML":                 {answered(200, html), nil, unavailable, unavailable, unavailable},
		"a truncated page":     {answered(200, "["+mine), nil, unavailable, unavailable, unavailable},
		"not there":            {answered(404, ""), nil, unavailable, notVisible, unavailable},
		"not there, in JSON":   {answered(404, notFoundJSON), nil, unavailable, notVisible, unavailable},
		"not there, in HTML":   {answered(404, html), nil, unavailable, unavailable, unavailable},
		"a scope is missing":   {answered(401, `{}`), nil, unavailable, notVisible, unavailable},
		"a bad request":        {answered(400, `{}`), nil, unavailable, unavailable, unavailable},
		"forbidden":            {answered(403, html), nil, unavailable, unavailable, unavailable},
		"too many":             {answered(429, ""), nil, tooMany, tooMany, tooMany},
		"an error":             {answered(500, `{"message":"error"}`), nil, unavailable, unavailable, unavailable},
		"a bad gateway":        {answered(502, html), nil, maintenance, maintenance, maintenance},
		"not available":        {answered(503, html), nil, unavailable, unavailable, unavailable},
		"maintenance":          {answered(597, html), nil, maintenance, maintenance, maintenance},
		"no answer":            same(outcome(credentialsv1.OutcomeUnavailable, 1), nil, meaning{quota.Unavailable, 1, gathering.ErrUnavailable}),
		"no token":             same(outcome(credentialsv1.OutcomeUnavailable, 0), nil, meaning{quota.Unavailable, 0, gathering.ErrUnavailable}),
		"refused twice":        same(outcome(credentialsv1.OutcomeUnavailable, 2), nil, meaning{quota.Unavailable, 2, gathering.ErrUnavailable}),
		"application inactive": same(outcome(credentialsv1.OutcomeApplication, 1), nil, meaning{quota.Inactive, 1, gathering.ErrInactive}),
		"degraded":             same(outcome(credentialsv1.OutcomeDegraded, 0), nil, meaning{quota.Unknown, 0, gathering.ErrDegraded}),
		"revoked":              same(outcome(credentialsv1.OutcomeRevoked, 0), nil, meaning{quota.Unknown, 0, gathering.ErrRevoked}),
		"our own failure":      same(outcome(credentialsv1.OutcomeFailed, 1), nil, meaning{quota.Unknown, 1, errOurs}),
		"an unknown outcome":   same(outcome("bogus", 0), nil, meaning{quota.Unknown, 0, errOurs}),
		"requester failed":     same(credentialsv1.ForwardResponse{}, io.ErrUnexpectedEOF, meaning{quota.Unknown, quota.CallsUncertain, io.ErrUnexpectedEOF}),
	} {
		c := New(func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
			now = now.Add(time.Second)
			return tc.response, tc.fails
		}, func() time.Time { return now })
		for what, call := range map[string]struct {
			do   func() (gathering.Reading, error)
			want meaning
		}{
			"page": {func() (gathering.Reading, error) {
				_, r, err := c.Activities(t.Context(), gathering.Authorization{AthleteID: 1, Generation: 1}, gathering.PageRequest{To: now, Page: 1, PerPage: 200})
				return r, err
			}, tc.page},
			"activity": {func() (gathering.Reading, error) {
				_, r, err := c.Activity(t.Context(), gathering.Authorization{AthleteID: 1, Generation: 1}, 7)
				return r, err
			}, tc.activity},
			"profile": {func() (gathering.Reading, error) {
				_, r, err := c.Athlete(t.Context(), gathering.Authorization{AthleteID: 1, Generation: 1})
				return r, err
			}, tc.profile},
		} {
			began := now
			reading, err := call.do()
			a := reading.Answer
			if a.Outcome != call.want.outcome || a.Calls != call.want.calls || !matches(err, call.want.err) {
				t.Errorf("%s for a %s: %+v, %v", name, what, a, err)
			}
			if !a.Began.Equal(began) || !a.Ended.Equal(began.Add(time.Second)) || !reading.At.Equal(began) {
				t.Errorf("%s for a %s: from %s to %s", name, what, a.Began, a.Ended)
			}
			if has := tc.response.Header != nil; has != (a.Rates != nil) || has != !a.Date.IsZero() {
				t.Errorf("%s for a %s: rates %v, date %s", name, what, a.Rates, a.Date)
			}
		}
	}
}

// errOurs stands for a transient fault that is not Strava's.
var errOurs = errors.New("a fault of ours")

func matches(got, want error) bool {
	if want == errOurs { //nolint:errorlint // A marker of this test.
		return fault.Is(got, fault.Transient) && !errors.Is(got, gathering.ErrUnavailable)
	}
	return errors.Is(got, want) && (want == nil) == (got == nil)
}

func TestRequestsToStrava(t *testing.T) {
	var asked credentialsv1.ForwardRequest
	c := New(func(_ context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		asked = req
		return answered(200, "[]"), nil
	}, time.Now)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		request gathering.PageRequest
		want    map[string]string
	}{
		{gathering.PageRequest{To: at, Page: 3, PerPage: 200}, map[string]string{"before": "1795341600", "page": "3", "per_page": "200"}},
		// Strava lists what starts after "after".
		{gathering.PageRequest{From: at, To: at.Add(time.Hour), Page: 1, PerPage: 5}, map[string]string{"after": "1795341599", "before": "1795345200", "page": "1", "per_page": "5"}},
	} {
		if _, _, err := c.Activities(t.Context(), gathering.Authorization{AthleteID: 1, Generation: 2}, tc.request); err != nil {
			t.Fatal(err)
		}
		want := credentialsv1.ForwardRequest{AthleteID: 1, Generation: 2, Path: "/athlete/activities", Query: tc.want}
		if d := cmp.Diff(want, asked); d != "" {
			t.Error(d)
		}
	}
}
