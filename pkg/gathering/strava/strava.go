package strava

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/invoke"
)

// Forward makes one call in an athlete's name. An error is a fault: it says
// nothing of Strava.
type Forward func(context.Context, credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error)

// ByLambda forwards by invoking the requester, the function with this ARN.
func ByLambda(client *lambda.Client, arn string) Forward {
	return invoke.Function[credentialsv1.ForwardRequest, credentialsv1.ForwardResponse](client, arn, "the requester")
}

// Client implements [gathering.Strava].
type Client struct {
	forward Forward
	now     func() time.Time
}

// New makes a client.
func New(forward Forward, now func() time.Time) *Client { return &Client{forward, now} }

// Status that Strava answers with during maintenance.
const statusMaintenance = 597

func (c *Client) get(ctx context.Context, athleteID, generation int64, path string, query map[string]string) (string, gathering.Reading, error) {
	began := c.now().UTC()
	res, err := c.forward(ctx, credentialsv1.ForwardRequest{AthleteID: athleteID, Generation: generation, Path: path, Query: query})
	reading := gathering.Reading{At: began, Answer: quota.Answer{Began: began, Ended: c.now().UTC()}}
	if err != nil {
		return "", reading, err // Nobody knows whether Strava was called.
	}
	switch res.Outcome {
	case credentialsv1.OutcomeAnswered:
	case credentialsv1.OutcomeRevoked:
		reading.Answer.Outcome = quota.NotMade
		return "", reading, gathering.ErrRevoked
	case credentialsv1.OutcomeDegraded:
		reading.Answer.Outcome = quota.NotMade
		return "", reading, gathering.ErrDegraded
	case credentialsv1.OutcomeApplication:
		reading.Answer.Outcome = quota.Refused
		return "", reading, gathering.ErrPaused
	default:
		reading.Answer.Outcome = quota.Failed
		return "", reading, gathering.ErrUnavailable
	}
	reading.Answer.Date, _ = http.ParseTime(res.Header["Date"])
	reading.Answer.Rates = rates(res.Header)
	switch {
	case res.Status == http.StatusOK:
		return res.Body, reading, nil
	case res.Status == http.StatusTooManyRequests:
		reading.Answer.Outcome = quota.RateLimited
		return "", reading, gathering.ErrPaused
	case res.Status == http.StatusBadGateway || res.Status == statusMaintenance:
		reading.Answer.Outcome = quota.Maintenance
		return "", reading, gathering.ErrPaused
	case res.Status >= http.StatusInternalServerError:
		reading.Answer.Outcome = quota.Failed
	case res.Status == http.StatusNotFound || res.Status == http.StatusUnauthorized:
		// The requester passes on a 401 only when a scope is missing.
		return "", reading, gathering.ErrNotVisible
	}
	return "", reading, fmt.Errorf("status %d: %w", res.Status, gathering.ErrUnavailable)
}

// Athlete implements [gathering.Strava].
func (c *Client) Athlete(ctx context.Context, athleteID, generation int64) (gatheringv1.Athlete, gathering.Reading, error) {
	body, reading, err := c.get(ctx, athleteID, generation, "/athlete", nil)
	if err != nil {
		return gatheringv1.Athlete{}, reading, err
	}
	a, err := decodeAthlete([]byte(body))
	if err != nil || a.ID != athleteID {
		return gatheringv1.Athlete{}, reading, fault.New(fault.Permanent, "Strava's athlete is not the one asked for")
	}
	return a, reading, nil
}

// Activities implements [gathering.Strava].
func (c *Client) Activities(ctx context.Context, athleteID, generation int64, before time.Time, page int) ([]gatheringv1.Activity, int, gathering.Reading, error) {
	body, reading, err := c.get(ctx, athleteID, generation, "/athlete/activities", map[string]string{
		"before":   strconv.FormatInt(before.Unix(), 10),
		"page":     strconv.Itoa(page),
		"per_page": strconv.Itoa(gathering.PageSize),
	})
	if err != nil {
		return nil, 0, reading, err
	}
	list, n, err := decodeList(body)
	if err != nil {
		return nil, 0, reading, fmt.Errorf("%w: %w", gathering.ErrUnavailable, err)
	}
	return list, n, reading, nil
}

// Activity implements [gathering.Strava].
func (c *Client) Activity(ctx context.Context, athleteID, generation, activityID int64) (gatheringv1.Activity, gathering.Reading, error) {
	body, reading, err := c.get(ctx, athleteID, generation, "/activities/"+strconv.FormatInt(activityID, 10), nil)
	if err != nil {
		return gatheringv1.Activity{}, reading, err
	}
	a, owner, err := decodeActivity([]byte(body))
	switch {
	case err != nil:
		return gatheringv1.Activity{}, reading, fmt.Errorf("%w: %w", gathering.ErrUnreadable, err)
	case owner != athleteID || a.ID != activityID:
		// Strava shows public activities of others, too.
		return gatheringv1.Activity{}, reading, gathering.ErrNotVisible
	}
	return a, reading, nil
}
