package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	activityin "github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	vendor "github.com/paceline/paceline/pkg/gathering/strava"
	"github.com/paceline/paceline/pkg/kit/consume"
	"github.com/paceline/paceline/pkg/kit/eventbus"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/paceline/paceline/standin/strava"
)

// gatheredPages is the number of full pages in the gathered history.
const gatheredPages = 10

// gatherAndStore compares how many activities per second are gathered and
// stored, on one goroutine, with how many encoding/json alone decodes from the
// same pages.
//
// A sample is the first scan of an athlete: the profile, full pages from
// memory, and the empty page. It runs the real decoder, gatherer and quota, the
// events with their encoding over the bus to the activity plane's queue, and
// the recorder. The stores of both boundaries are in memory.
func gatherAndStore(ctx context.Context, r *report) error {
	pages, err := pagesOf(gatheredPages)
	if err != nil {
		return err
	}
	const activities = gatheredPages * gathering.PageSize
	rate := func(nanoseconds float64) float64 { return activities / (nanoseconds / 1e9) }
	_, err = r.compare(ctx, comparison{
		name: fmt.Sprintf("gather and store %d activities", activities),
		ours: func(ctx context.Context) (float64, error) {
			w, err := newGathering(ctx, pages)
			if err != nil {
				return 0, err
			}
			took, err := timed(w.gather)(ctx)
			if err != nil {
				return 0, err
			}
			return rate(took), w.check(ctx, activities)
		},
		baseline: "encoding/json alone",
		base: func(ctx context.Context) (float64, error) {
			took, err := timed(func(context.Context) error {
				for _, page := range pages {
					var list []plainActivity
					if err := json.Unmarshal([]byte(page), &list); err != nil {
						return err
					}
				}
				return nil
			})(ctx)
			return rate(took), err
		},
		unit: "activities/s", biggerIsBetter: true, rounds: 50, warmUp: 3,
	})
	return err
}

// plainActivity has the fields of a stored activity, for encoding/json. Strava's
// seconds may be floats.
type plainActivity struct {
	gatheringv1.Activity
	MovingTime  float64 `json:"moving_time"`
	ElapsedTime float64 `json:"elapsed_time"`
}

// pagesOf returns full pages of Strava's response to "List Athlete Activities".
// The activities of all generated athletes become one athlete's.
func pagesOf(n int) ([]string, error) {
	stand := strava.New(strava.Config{Seed: 1, Athletes: strava.Generate(1, 50, time.Now())})
	defer stand.Close()
	var list, pages []string
	for _, athlete := range stand.Athletes() {
		activities, err := stand.Activities(athlete.ID)
		if err != nil {
			return nil, err
		}
		owner, one := fmt.Sprintf(`"athlete":{"id":%d`, athlete.ID), fmt.Sprintf(`"athlete":{"id":%d`, by.AthleteID)
		for _, a := range activities {
			list = append(list, strings.Replace(string(a.Summary), owner, one, 1))
			if len(list) == gathering.PageSize {
				pages, list = append(pages, "["+strings.Join(list, ",")+"]"), nil
			}
			if len(pages) == n {
				return pages, nil
			}
		}
	}
	return nil, fmt.Errorf("the generated activities fill %d of %d pages", len(pages), n)
}

// oneAthlete holds gathering and the activity plane with one athlete, who has
// just connected.
type oneAthlete struct {
	gatherer *gathering.Gatherer
	activity *activitytest.Store
}

// by is the athlete's authorization.
var by = activity.Authorization{AthleteID: 1, Generation: 1}

func newGathering(ctx context.Context, pages []string) (*oneAthlete, error) {
	log, factory := slog.New(slog.DiscardHandler), startup.EventFactory()
	plane := activitytest.NewPorts(time.Now)
	recorder := plane.Recorder()
	now := event.Meta{OccurredAt: factory.Now()}
	err := recorder.AthleteAuthorized(ctx, now, credentialsv1.AthleteAuthorized{
		AthleteID: by.AthleteID, Generation: by.Generation, Scopes: []string{"read", "activity:read", "activity:read_all"},
	})
	if err != nil {
		return nil, err
	}
	ports := gatheringtest.NewMemory().Ports(time.Now)
	ports.Strava = vendor.New(answerFrom(pages), time.Now)
	if err := ports.Authorizations().Begin(ctx, now, gathering.Authorization{AthleteID: by.AthleteID, Generation: by.Generation}); err != nil {
		return nil, err
	}
	ports.Publisher = eventbus.New(bus{consume.Handler(log, activityin.EventRoutes(recorder)...)}, "bench")
	return &oneAthlete{activity: plane.Store, gatherer: ports.Gatherer()}, nil
}

// gather runs the gatherer until no work is due.
func (w *oneAthlete) gather(ctx context.Context) error {
	more, err := w.gatherer.Run(ctx, time.Now().Add(time.Minute))
	if more {
		err = errors.Join(err, errors.New("the gatherer did not finish"))
	}
	return err
}

// check returns an error unless all activities are stored and the scan is
// complete.
func (w *oneAthlete) check(ctx context.Context, activities int) error {
	sync, err := w.activity.Sync(ctx, by)
	if err != nil {
		return err
	}
	records, err := w.activity.Records(ctx, by.AthleteID)
	if err == nil && (len(records) != activities || sync.State != gatheringv1.ScanCompleted) {
		err = fmt.Errorf("%d of %d activities are stored, and the scan is %s", len(records), activities, sync.State)
	}
	return err
}

// answerFrom returns a model of the requester and Strava with these pages.
func answerFrom(pages []string) vendor.Forward {
	header := map[string]string{
		"X-Ratelimit-Limit": "100000,1000000", "X-Ratelimit-Usage": "1,1",
		"X-Readratelimit-Limit": "100000,1000000", "X-Readratelimit-Usage": "1,1",
	}
	return func(_ context.Context, req credentialsv1.ForwardRequest) (credentialsv1.ForwardResponse, error) {
		res := credentialsv1.ForwardResponse{Outcome: credentialsv1.OutcomeAnswered, Status: http.StatusOK, Header: header, Calls: 1}
		if req.Path == "/athlete" {
			res.Body = fmt.Sprintf(`{"id":%d,"firstname":"Ada","created_at":"2016-01-01T00:00:00Z"}`, req.AthleteID)
			return res, nil
		}
		page, err := strconv.Atoi(req.Query["page"])
		if err != nil {
			return res, err
		}
		res.Body = "[]"
		if page <= len(pages) {
			res.Body = pages[page-1]
		}
		return res, nil
	}
}

// bus is a stand-in for EventBridge and the activity plane's queue. It passes
// each event on as the message that EventBridge makes of it.
type bus struct {
	handle func(context.Context, events.SQSEvent) (events.SQSEventResponse, error)
}

// PutEvents implements [eventbus.API].
func (b bus) PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, _ ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error) {
	for _, e := range in.Entries {
		if *e.DetailType == gatheringv1.AthleteGatheredType {
			continue // the athlete plane consumes it
		}
		message := fmt.Sprintf(`{"version":"0","detail-type":%q,"source":%q,"detail":%s}`, *e.DetailType, *e.Source, *e.Detail)
		res, err := b.handle(ctx, events.SQSEvent{Records: []events.SQSMessage{{MessageId: "1", Body: message}}})
		if err != nil {
			return nil, err
		}
		if len(res.BatchItemFailures) > 0 {
			return nil, fmt.Errorf("the activity plane failed at %s", *e.DetailType)
		}
	}
	return &eventbridge.PutEventsOutput{Entries: make([]types.PutEventsResultEntry, len(in.Entries))}, nil
}
