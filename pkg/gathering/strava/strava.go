package strava

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Forward makes one call in an athlete's name. An error is a fault of ours and
// says nothing about Strava.
type Forward func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error)

// Client implements [gathering.Strava].
type Client struct {
	forward Forward
	now     func() time.Time
}

// New makes a client.
func New(forward Forward, now func() time.Time) *Client { return &Client{forward, now} }

// statusMaintenance is Strava's status during maintenance.
const statusMaintenance = 597

// get makes one call. Without an error the status was 200, and the body is
// still to be decoded.
func (c *Client) get(ctx context.Context, by gathering.Authorization, path string, query map[string]string) (credentialsv1.ForwardResponse, gathering.Reading, error) {
	began := c.now().UTC()
	res, err := c.forward(ctx, credentialsv1.ForwardRequest{AthleteID: by.AthleteID, Generation: by.Generation, Path: path, Query: query})
	reading := gathering.Reading{At: began, Answer: quota.Answer{Began: began, Ended: c.now().UTC(), Calls: res.Calls}}
	a := &reading.Answer
	if err != nil {
		a.Outcome, a.Calls = quota.Unknown, quota.CallsUncertain
		return res, reading, err
	}
	a.Date, _ = http.ParseTime(res.Header["Date"])
	a.Rates = rates(res.Header)
	switch res.Outcome {
	case credentialsv1.OutcomeAnswered:
	case credentialsv1.OutcomeRevoked:
		a.Outcome = quota.Unknown
		return res, reading, gathering.ErrRevoked
	case credentialsv1.OutcomeDegraded:
		a.Outcome = quota.Unknown
		return res, reading, gathering.ErrDegraded
	case credentialsv1.OutcomeApplication:
		a.Outcome = quota.Inactive
		return res, reading, gathering.ErrInactive
	case credentialsv1.OutcomeUnavailable:
		a.Outcome = quota.Unavailable
		return res, reading, gathering.ErrUnavailable
	default:
		a.Outcome = quota.Unknown
		return res, reading, fault.New(fault.Transient, "the requester failed: see the log of forward-request")
	}
	a.Calls = max(res.Calls, 1)
	switch {
	case res.Status == http.StatusOK:
		return res, reading, nil
	case res.Status == http.StatusTooManyRequests:
		a.Outcome = quota.RateLimited
		return res, reading, gathering.ErrRateLimited
	case res.Status == http.StatusBadGateway || res.Status == statusMaintenance:
		a.Outcome = quota.Maintenance
	default:
		a.Outcome = quota.Unavailable
	}
	return res, reading, fmt.Errorf("status %d: %w", res.Status, gathering.ErrUnavailable)
}

// misunderstood turns an answer that makes no sense into a failure of Strava's.
func misunderstood(reading gathering.Reading, err error) (gathering.Reading, error) {
	reading.Answer.Outcome = quota.Unavailable
	return reading, fmt.Errorf("%w: %w", gathering.ErrUnavailable, err)
}

// Athlete implements [gathering.Strava].
func (c *Client) Athlete(ctx context.Context, by gathering.Authorization) (gatheringv1.Athlete, gathering.Reading, error) {
	res, reading, err := c.get(ctx, by, "/athlete", nil)
	if err != nil {
		return gatheringv1.Athlete{}, reading, err
	}
	a, _, err := decodeAthlete([]byte(res.Body))
	if err == nil && a.ID != by.AthleteID {
		err = errors.New("the athlete is not the one asked for")
	}
	if err != nil {
		reading, err = misunderstood(reading, err)
		return gatheringv1.Athlete{}, reading, err
	}
	return a, reading, nil
}

// Activities implements [gathering.Strava].
func (c *Client) Activities(ctx context.Context, by gathering.Authorization, r gathering.PageRequest) (gathering.Page, gathering.Reading, error) {
	query := map[string]string{
		"before":   strconv.FormatInt(r.To.Unix(), 10),
		"page":     strconv.Itoa(r.Page),
		"per_page": strconv.Itoa(r.PerPage),
	}
	if !r.From.IsZero() {
		query["after"] = strconv.FormatInt(r.From.Unix()-1, 10)
	}
	res, reading, err := c.get(ctx, by, "/athlete/activities", query)
	if err != nil {
		return gathering.Page{}, reading, err
	}
	page, err := decodePage(res.Body, by.AthleteID, r.PerPage)
	if err != nil {
		reading, err = misunderstood(reading, err)
		return gathering.Page{}, reading, err
	}
	return page, reading, nil
}

// Activity implements [gathering.Strava].
func (c *Client) Activity(ctx context.Context, by gathering.Authorization, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	res, reading, err := c.get(ctx, by, "/activities/"+strconv.FormatInt(activityID, 10), nil)
	if err != nil && notVisible(res) {
		reading.Answer.Outcome = quota.Answered
		return gatheringv1.Activity{}, reading, gathering.ErrNotVisible
	}
	if err != nil {
		return gatheringv1.Activity{}, reading, err
	}
	a, owner, _, err := decodeActivity([]byte(res.Body))
	switch {
	case err == nil && a.ID != activityID:
		err = errors.New("the activity is not the one asked for")
	case err == nil && owner == 0:
		err = errors.New("the activity names no athlete")
	case err == nil && owner != by.AthleteID:
		// Strava shows public activities of others, too.
		return gatheringv1.Activity{}, reading, gathering.ErrNotVisible
	}
	if err != nil {
		reading, err = misunderstood(reading, err)
		return gatheringv1.Activity{}, reading, err
	}
	return a, reading, nil
}

// notVisible reports whether Strava itself says that there is no such activity
// for this athlete. Its 404 is empty or JSON; an HTML page comes from some
// proxy in between. The requester passes a 401 on only when a scope is missing.
func notVisible(res credentialsv1.ForwardResponse) bool {
	if res.Outcome != credentialsv1.OutcomeAnswered {
		return false
	}
	return res.Status == http.StatusUnauthorized ||
		res.Status == http.StatusNotFound && (res.Body == "" || json.Valid([]byte(res.Body)))
}
