package stack

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/athlete/metric"
	"github.com/paceline/paceline/pkg/athlete/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// AthletePlaneProps configures the athlete plane.
type AthletePlaneProps struct {
	Boundary          *construct.Boundary
	Bus               awsevents.IEventBus
	API               awsapigatewayv2.IHttpApi
	SessionAuthorizer awsapigatewayv2.CfnAuthorizer
}

// AthletePlane keeps athletes' profiles and takes their wishes.
type AthletePlane struct {
	awscdk.Stack
}

// NewAthletePlane makes the athlete plane's stack.
func NewAthletePlane(scope constructs.Construct, id string, props *AthletePlaneProps) *AthletePlane {
	b := props.Boundary
	s := newStack(scope, id, b.Config, "athlete", "Paceline: athletes' profiles, leaving")

	table := construct.NewTable(s, "Athletes", &construct.TableProps{
		Config:    b.Config,
		Partition: construct.Text("pk"),
	})
	serveAPI := construct.NewFunction(s, "serve-api", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Serves an athlete's profile, export, wishes for a refresh and to leave, and receipts",
		TimeoutSeconds: 10,
		Settings: settings.ServeAPI{
			SiteURL:       b.Config.SiteURL,
			AthletesTable: *table.TableName(),
			EventBusName:  *props.Bus.EventBusName(),
		},
	})
	handleEvents := construct.NewFunction(s, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Keeps athletes' profiles as gathered and what they allowed, erases those who left",
		TimeoutSeconds: 30,
		Settings:       settings.HandleEvents{AthletesTable: *table.TableName()},
	})
	table.AllowItems(serveAPI, handleEvents)
	enforceDeadlines := construct.NewFunction(s, "enforce-deadlines", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Drops profiles not read again from Strava for seven days, repeats wishes to leave, counts what is late",
		TimeoutSeconds: 240,
		Settings: settings.EnforceDeadlines{
			Stage:         string(b.Config.Stage),
			AthletesTable: *table.TableName(),
			EventBusName:  *props.Bus.EventBusName(),
		},
	})
	countErasures := construct.NewFunction(s, "count-erasures", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Shows an admin how many erasures are pending, overdue and completed",
		TimeoutSeconds: 30,
		Settings:       settings.CountErasures{AthletesTable: *table.TableName()},
	})
	table.AllowScan(enforceDeadlines, countErasures)
	table.AllowItems(enforceDeadlines)
	for _, f := range []*construct.Function{serveAPI, enforceDeadlines} {
		f.AllowPublish(props.Bus, athletev1.Source)
	}
	construct.NewSchedule(s, "Deadlines", &construct.ScheduleProps{Function: enforceDeadlines, EveryMinutes: 15})
	construct.NewMetricAlarms(s, b, metric.Namespace,
		construct.MetricAlarm{
			ID: "KeptTooLongAlarm", Title: "profiles are kept too long",
			Metric: metric.KeptTooLong, Statistic: construct.Maximum, Period: time.Hour, Threshold: 1, AlwaysReported: true,
		},
		construct.MetricAlarm{
			ID: "ErasuresOverdueAlarm", Title: "an erasure is overdue",
			Metric: metric.ErasuresOverdue, Statistic: construct.Maximum, Period: time.Hour, Threshold: 1, AlwaysReported: true,
		},
	)

	construct.NewRoutes(s, "Api", &construct.RoutesProps{
		API:        props.API,
		Function:   serveAPI,
		Keys:       []string{"GET /v1/me", "DELETE /v1/me", "GET /v1/me/export", "POST /v1/me/sync"},
		Authorizer: useAuthorizer(s, props.SessionAuthorizer),
	})
	construct.NewRoutes(s, "Erasures", &construct.RoutesProps{
		API:           props.API,
		Function:      serveAPI,
		Keys:          []string{"GET /v1/erasures/{receipt}"},
		PublicBecause: "Who has left has no session any more: the receipt is unguessable and tells nothing of the athlete.",
	})
	// API Gateway's own 404 would be no RFC 9457 problem.
	construct.NewRoutes(s, "Unknown", &construct.RoutesProps{
		API:           props.API,
		Function:      serveAPI,
		Keys:          []string{"$default"},
		PublicBecause: "It says no more than that there is nothing here, to everyone.",
	})
	construct.NewEventConsumer(s, "Consumer", &construct.EventConsumerProps{
		Boundary: b,
		Bus:      props.Bus,
		Function: handleEvents,
		Facts: []event.Fact{
			gatheringv1.AthleteGathered{},
			credentialsv1.AthleteAuthorized{},
			credentialsv1.AuthorizationDegraded{},
			credentialsv1.AuthorizationRevoked{},
			credentialsv1.AccountLinked{},
			credentialsv1.AccountUnlinked{},
			credentialsv1.ErasureCompleted{},
			gatheringv1.ErasureCompleted{},
			activityv1.ErasureCompleted{},
		},
	})
	output(s, "CountErasuresFunctionName", countErasures.FunctionName(),
		"The function that `paceline admin status` and `paceline admin stage clear` call")
	return &AthletePlane{Stack: s}
}
