package strava

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
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

func TestAnswersTeachTheQuota(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 7, 30, 0, time.UTC)
	limits := map[string]string{"X-Ratelimit-Limit": "1,2", "X-Ratelimit-Usage": "1,2", "X-Readratelimit-Limit": "1,2", "X-Readratelimit-Usage": "1,2", "Date": "Sun, 22 Nov 2026 10:07:31 GMT"}
	answered := func(status int) credentialsv1.ForwardResponse {
		return credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: status, Header: limits, Body: "[]"}
	}
	for name, tc := range map[string]struct {
		response credentialsv1.ForwardResponse
		fails    error
		want     quota.Outcome
		err      error
	}{
		"a page":              {answered(200), nil, quota.Answered, nil},
		"not there":           {answered(404), nil, quota.Answered, gathering.ErrNotVisible},
		"a scope is missing":  {answered(401), nil, quota.Answered, gathering.ErrNotVisible},
		"a bad request":       {answered(400), nil, quota.Answered, gathering.ErrUnavailable},
		"too many":            {answered(429), nil, quota.RateLimited, gathering.ErrPaused},
		"an error":            {answered(500), nil, quota.Failed, gathering.ErrUnavailable},
		"a bad gateway":       {answered(502), nil, quota.Maintenance, gathering.ErrPaused},
		"maintenance":         {answered(597), nil, quota.Maintenance, gathering.ErrPaused},
		"no answer":           {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeUnavailable}, nil, quota.Failed, gathering.ErrUnavailable},
		"application refused": {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeApplication}, nil, quota.Refused, gathering.ErrPaused},
		"degraded":            {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeDegraded}, nil, quota.NotMade, gathering.ErrDegraded},
		"revoked":             {credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeRevoked}, nil, quota.NotMade, gathering.ErrRevoked},
		"requester failed":    {credentialsv1.ForwardResponse{}, io.ErrUnexpectedEOF, quota.Answered, io.ErrUnexpectedEOF},
	} {
		c := New(func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
			now = now.Add(time.Second)
			return tc.response, tc.fails
		}, func() time.Time { return now })
		began := now
		_, _, reading, err := c.Activities(t.Context(), 1, 1, now, 1)
		if !errors.Is(err, tc.err) || (tc.err == nil) != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		a := reading.Answer
		if a.Outcome != tc.want || !a.Began.Equal(began) || !a.Ended.Equal(began.Add(time.Second)) || !reading.At.Equal(began) {
			t.Errorf("%s: %+v", name, reading)
		}
		if told := tc.response.Header != nil; told != (a.Rates != nil) || told != !a.Date.IsZero() {
			t.Errorf("%s: told %v: %+v", name, told, a)
		}
	}
}
