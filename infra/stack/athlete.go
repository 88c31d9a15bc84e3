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

// AthletePlane keeps athletes' profiles and consents, and takes their gather
// requests and requests to leave.
type AthletePlane struct {
	awscdk.Stack
	props    *AthletePlaneProps
	athletes *construct.Table

	serveAPI, handleEvents, enforceDeadlines, countErasures *construct.Function
}

// NewAthletePlane makes the athlete plane's stack.
func NewAthletePlane(scope constructs.Construct, id string, props *AthletePlaneProps) *AthletePlane {
	p := &AthletePlane{
		Stack: newStack(scope, id, props.Boundary.Config, "athlete", "Paceline: athletes' profiles, leaving"),
		props: props,
	}
	p.athletes = construct.NewTable(p.Stack, "Athletes", &construct.TableProps{
		Config:    props.Boundary.Config,
		Partition: construct.Text("pk"),
	})
	p.addFunctions()
	p.allowAccess()
	construct.NewSchedule(p.Stack, "Deadlines", &construct.ScheduleProps{Function: p.enforceDeadlines, EveryMinutes: 15})
	p.addRoutes()
	p.addConsumer()
	p.addAlarms()
	output(p.Stack, "CountErasuresFunctionName", p.countErasures.FunctionName(),
		"The function that `paceline admin status` and `paceline admin stage clear` invoke")
	return p
}

func (p *AthletePlane) addFunctions() {
	b, table, bus := p.props.Boundary, *p.athletes.TableName(), *p.props.Bus.EventBusName()
	p.serveAPI = construct.NewFunction(p.Stack, "serve-api", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Serves an athlete's profile, export and receipts, and takes gather requests and requests to leave",
		TimeoutSeconds: 10,
		Settings: settings.ServeAPI{
			SiteURL:       b.Config.SiteURL,
			AthletesTable: table,
			EventBusName:  bus,
		},
	})
	p.handleEvents = construct.NewFunction(p.Stack, "handle-events", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Stores athletes' profiles and consents, and erases those of athletes who left",
		TimeoutSeconds: 30,
		Settings:       settings.HandleEvents{AthletesTable: table},
	})
	p.enforceDeadlines = construct.NewFunction(p.Stack, "enforce-deadlines", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Deletes profiles after seven days, repeats requests to leave, and counts what is overdue",
		TimeoutSeconds: 240,
		Settings: settings.EnforceDeadlines{
			Stage:         string(b.Config.Stage),
			AthletesTable: table,
			EventBusName:  bus,
		},
	})
	p.countErasures = construct.NewFunction(p.Stack, "count-erasures", &construct.FunctionProps{
		Boundary:       b,
		Description:    "Shows an administrator how many erasures are pending, overdue and completed",
		TimeoutSeconds: 30,
		Settings:       settings.CountErasures{AthletesTable: table},
	})
}

func (p *AthletePlane) allowAccess() {
	p.athletes.AllowItems(p.serveAPI, p.handleEvents)
	p.athletes.AllowScan(p.enforceDeadlines, p.countErasures)
	p.athletes.AllowItems(p.enforceDeadlines)
	for _, f := range []*construct.Function{p.serveAPI, p.enforceDeadlines} {
		f.AllowPublish(p.props.Bus, athletev1.Source)
	}
}

func (p *AthletePlane) addRoutes() {
	construct.NewRoutes(p.Stack, "Api", &construct.RoutesProps{
		API:        p.props.API,
		Function:   p.serveAPI,
		Keys:       []string{"GET /v1/me", "DELETE /v1/me", "GET /v1/me/export", "POST /v1/me/sync"},
		Authorizer: useAuthorizer(p.Stack, p.props.SessionAuthorizer),
	})
	construct.NewRoutes(p.Stack, "Erasures", &construct.RoutesProps{
		API:           p.props.API,
		Function:      p.serveAPI,
		Keys:          []string{"GET /v1/erasures/{receipt}"},
		PublicBecause: "An athlete who has left has no session. The receipt is unguessable and reveals nothing about the athlete.",
	})
	// API Gateway's own 404 is not an RFC 9457 problem.
	construct.NewRoutes(p.Stack, "Unknown", &construct.RoutesProps{
		API:           p.props.API,
		Function:      p.serveAPI,
		Keys:          []string{"$default"},
		PublicBecause: "It answers 404 to every request.",
	})
}

func (p *AthletePlane) addConsumer() {
	construct.NewEventConsumer(p.Stack, "Consumer", &construct.EventConsumerProps{
		Boundary: p.props.Boundary,
		Bus:      p.props.Bus,
		Function: p.handleEvents,
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
}

func (p *AthletePlane) addAlarms() {
	construct.NewMetricAlarms(p.Stack, p.props.Boundary, metric.Namespace,
		construct.MetricAlarm{
			ID: "KeptTooLongAlarm", Title: "profiles are kept too long",
			Metric: metric.KeptTooLong, Statistic: construct.Maximum, Period: time.Hour, Threshold: 1, AlwaysReported: true,
		},
		construct.MetricAlarm{
			ID: "ErasuresOverdueAlarm", Title: "an erasure is overdue",
			Metric: metric.ErasuresOverdue, Statistic: construct.Maximum, Period: time.Hour, Threshold: 1, AlwaysReported: true,
		},
	)
}
