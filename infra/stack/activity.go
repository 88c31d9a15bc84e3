package stack

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/constructs-go/constructs/v10"
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
	props      *ActivityPlaneProps
	activities *construct.Table

	serveAPI, handleEvents, expireActivities, auditActivities *construct.Function
}

// NewActivityPlane makes the activity plane's stack.
func NewActivityPlane(scope constructs.Construct, id string, props *ActivityPlaneProps) *ActivityPlane {
	p := &ActivityPlane{
		Stack: newStack(scope, id, props.Boundary.Config, "activity", "Paceline: activities and their totals"),
		props: props,
	}
	p.addTable()
	p.addFunctions()
	p.allowAccess()
	p.addSchedules()
	p.addRoutes()
	p.addConsumer()
	p.addAlarms()
	return p
}

func (p *ActivityPlane) addTable() {
	p.activities = construct.NewTable(p.Stack, "Activities", &construct.TableProps{
		Config:    p.props.Boundary.Config,
		Partition: construct.Number("athlete_id"),
		SortKey:   construct.Text("sk"),
		Indexes: []construct.Index{
			{Name: settings.ActivitiesByStartIndex, Partition: construct.Number("athlete_id"), SortKey: construct.Text("start")},
			{Name: settings.ActivitiesByAgeIndex, Partition: construct.Text("kind"), SortKey: construct.Number("oldest"), KeysOnly: true},
		},
	})
}

func (p *ActivityPlane) addFunctions() {
	b, table := p.props.Boundary, *p.activities.TableName()
	p.serveAPI = construct.NewFunction(p.Stack, "serve-api", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Serves an athlete's activities, totals and scan progress",
		TimeoutSeconds: 15,
		Settings:       settings.ServeAPI{ActivitiesTable: table},
	})
	p.handleEvents = construct.NewFunction(p.Stack, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Stores gathered activities, and erases those of athletes who left",
		TimeoutSeconds: 60,
		Settings: settings.HandleEvents{
			ActivitiesTable: table,
			EventBusName:    *p.props.Bus.EventBusName(),
		},
	})
	p.expireActivities = construct.NewFunction(p.Stack, "expire-activities", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Deletes data that was not read from Strava again for seven days",
		TimeoutSeconds: 600,
		Infrequent:     true,
		Settings:       settings.ExpireActivities{ActivitiesTable: table},
	})
	p.auditActivities = construct.NewFunction(p.Stack, "audit-activities", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Counts the stored data by its age",
		TimeoutSeconds: 600,
		Infrequent:     true,
		Settings: settings.AuditActivities{
			Stage:           string(b.Config.Stage),
			ActivitiesTable: table,
		},
	})
}

func (p *ActivityPlane) allowAccess() {
	p.activities.AllowRead(p.serveAPI)
	p.activities.AllowReadWrite(p.handleEvents, p.expireActivities)
	p.activities.AllowScan(p.auditActivities)
	p.handleEvents.AllowPublish(p.props.Bus, activityv1.Source)
}

func (p *ActivityPlane) addSchedules() {
	construct.NewSchedule(p.Stack, "Expire", &construct.ScheduleProps{Function: p.expireActivities, EveryMinutes: 60})
	construct.NewSchedule(p.Stack, "Audit", &construct.ScheduleProps{Function: p.auditActivities, EveryMinutes: 6 * 60})
}

func (p *ActivityPlane) addRoutes() {
	construct.NewRoutes(p.Stack, "Api", &construct.RoutesProps{
		API:      p.props.API,
		Function: p.serveAPI,
		Keys: []string{
			"GET /v1/me/activities",
			"GET /v1/me/activities/{id}",
			"GET /v1/me/stats",
			"GET /v1/me/sync",
		},
		Authorizer: useAuthorizer(p.Stack, p.props.SessionAuthorizer),
	})
}

func (p *ActivityPlane) addConsumer() {
	construct.NewEventConsumer(p.Stack, "Consumer", &construct.EventConsumerProps{
		Boundary: p.props.Boundary,
		Bus:      p.props.Bus,
		Function: p.handleEvents,
		Facts: []event.Fact{
			gatheringv1.ActivitiesGathered{},
			gatheringv1.ActivityGone{},
			gatheringv1.ScanProgressed{},
			credentialsv1.AthleteAuthorized{},
			credentialsv1.AuthorizationDegraded{},
			credentialsv1.AuthorizationRevoked{},
		},
	})
}

func (p *ActivityPlane) addAlarms() {
	construct.NewMetricAlarms(p.Stack, p.props.Boundary, metric.Namespace, construct.MetricAlarm{
		ID: "KeptTooLongAlarm", Title: "data is kept too long",
		Metric: metric.KeptTooLong, Statistic: construct.Maximum, Period: 12 * time.Hour, Threshold: 1, AlwaysReported: true,
	})
}
