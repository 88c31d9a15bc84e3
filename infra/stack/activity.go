package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/activity/metric"
	"github.com/paceline/paceline/pkg/activity/settings"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/activityv1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
)

// ActivityPlaneProps configures the activity plane.
type ActivityPlaneProps struct {
	Boundary          *construct.Boundary
	Bus               awsevents.IEventBus
	API               awsapigatewayv2.IHttpApi
	SessionAuthorizer awsapigatewayv2.CfnAuthorizer
}

// ActivityPlane keeps activities and their totals.
type ActivityPlane struct {
	awscdk.Stack
}

// NewActivityPlane makes the activity plane's stack.
func NewActivityPlane(scope constructs.Construct, id string, props *ActivityPlaneProps) *ActivityPlane {
	b := props.Boundary
	s := newStack(scope, id, b.Config, "activity", "Paceline: activities and their totals")

	table := construct.NewTable(s, "Activities", &construct.TableProps{
		Config:    b.Config,
		Partition: construct.Number("athlete_id"),
		SortKey:   construct.Text("sk"),
		Indexes: []construct.Index{
			{Name: settings.ActivitiesByStartIndex, Partition: construct.Number("athlete_id"), SortKey: construct.Text("start")},
			{Name: settings.ActivitiesByAgeIndex, Partition: construct.Text("kind"), SortKey: construct.Number("oldest"), KeysOnly: true},
		},
	})
	serveAPI := construct.NewFunction(s, "serve-api", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Serves an athlete's activities, totals, and how far gathering is",
		TimeoutSeconds: 15,
		Settings: settings.ServeAPI{
			ActivitiesTable: *table.TableName(),
		},
	})
	handleEvents := construct.NewFunction(s, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Keeps activities as gathered, erases those of athletes who left",
		TimeoutSeconds: 60,
		Settings: settings.HandleEvents{
			ActivitiesTable: *table.TableName(),
			EventBusName:    *props.Bus.EventBusName(),
		},
	})
	expire := construct.NewFunction(s, "expire-activities", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Deletes what was not read again from Strava for seven days",
		TimeoutSeconds: 600,
		Seldom:         true,
		Settings: settings.ExpireActivities{
			ActivitiesTable: *table.TableName(),
		},
	})
	audit := construct.NewFunction(s, "audit-activities", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Counts what is kept by its age",
		TimeoutSeconds: 600,
		Seldom:         true,
		Settings: settings.AuditActivities{
			Stage:           string(b.Config.Stage),
			ActivitiesTable: *table.TableName(),
		},
	})
	table.AllowRead(serveAPI)
	table.AllowReadWrite(handleEvents, expire)
	table.AllowScan(audit)
	construct.NewSchedule(s, "Expire", &construct.ScheduleProps{Function: expire, EveryMinutes: 60})
	construct.NewSchedule(s, "Audit", &construct.ScheduleProps{Function: audit, EveryMinutes: 6 * 60})
	construct.NewAlarm(s, "KeptTooLongAlarm", &construct.AlarmProps{
		Boundary: b,
		What:     "data is kept too long",
		Metric: awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace:     jsii.String(metric.Namespace),
			MetricName:    jsii.String(metric.KeptTooLong),
			DimensionsMap: &map[string]*string{"stage": jsii.String(string(b.Config.Stage))},
			Statistic:     jsii.String("Maximum"),
			Period:        awscdk.Duration_Hours(jsii.Number(12)),
		}),
		Threshold:      1,
		AlwaysReported: true,
	})
	handleEvents.AllowPublish(props.Bus, activityv1.Source)

	construct.NewRoutes(s, "Api", &construct.RoutesProps{
		API:      props.API,
		Function: serveAPI,
		Keys: []string{
			"GET /v1/me/activities",
			"GET /v1/me/activities/{id}",
			"GET /v1/me/stats",
			"GET /v1/me/sync",
		},
		Authorizer: useAuthorizer(s, props.SessionAuthorizer),
	})
	construct.NewEventConsumer(s, "Consumer", &construct.EventConsumerProps{
		Boundary: b,
		Bus:      props.Bus,
		Function: handleEvents,
		Facts: []event.Fact{
			gatheringv1.ActivitiesGathered{},
			gatheringv1.ActivityGone{},
			gatheringv1.ScanProgressed{},
			credentialsv1.AthleteAuthorized{},
			credentialsv1.AuthorizationDegraded{},
			credentialsv1.AuthorizationRevoked{},
		},
	})
	return &ActivityPlane{Stack: s}
}
