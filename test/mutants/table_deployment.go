package main

// The packages are slow: they synthesize the stacks. The goldens notice every
// change, but say nothing about its meaning, so they are left out.
const (
	alarms     = "./test/infra ^TestEveryAlarmIsRaised$"
	invariants = "./test/infra ^TestInvariants$"
	gatherers  = "./test/infra ^TestAQueueAndAScheduleRunGatherers$"
)

// deployment are faults in the stacks.
var deployment = []mutant{
	{
		id:     "infra/unsaved-tokens-raise-no-alarm",
		breaks: "an operator does not learn that an athlete's tokens were lost",
		file:   "infra/stack/credentials.go",
		old:    `Metric: metric.Unsaved, Statistic: construct.Sum, Period: 5 * time.Minute, Threshold: 1,`,
		new:    `Metric: metric.Unsaved, Statistic: construct.Sum, Period: 5 * time.Minute, Threshold: 100,`,
		by:     []string{alarms},
	},
	{
		id:     "infra/overdue-tasks-raise-no-alarm",
		breaks: "an operator does not learn that a revocation has failed for days",
		file:   "infra/stack/credentials.go",
		old:    `Metric: metric.Overdue, Statistic: construct.Maximum,`,
		new:    `Metric: metric.Postponed, Statistic: construct.Maximum,`,
		by:     []string{alarms},
	},
	{
		id:     "infra/rate-limit-raises-no-alarm",
		breaks: "an operator does not learn that Strava limits the application",
		file:   "infra/stack/gathering.go",
		old:    `Metric: metric.RateLimited, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 1,`,
		new:    `Metric: metric.RateLimited, Statistic: construct.Sum, Period: 15 * time.Minute, Threshold: 1000,`,
		by:     []string{alarms},
	},
	{
		id:     "infra/old-webhooks-raise-no-alarm",
		breaks: "an operator does not learn that changes wait for too long",
		file:   "infra/stack/gathering.go",
		old:    `Metric: metric.OldestWebhook, Statistic: construct.Maximum, Period: 5 * time.Minute, Threshold: (15 * time.Minute).Seconds(),`,
		new:    `Metric: metric.OldestWebhook, Statistic: construct.Maximum, Period: 5 * time.Minute, Threshold: (15 * time.Hour).Seconds(),`,
		by:     []string{alarms},
	},
	{
		id:     "infra/api-errors-raise-no-alarm",
		breaks: "an operator does not learn that the site fails for athletes",
		file:   "infra/stack/platform.go",
		old:    `Metric: p.API.MetricServerError(`,
		new:    `Metric: p.API.MetricClientError(`,
		by:     []string{alarms},
	},
	{
		id:     "infra/alarms-notify-no-topic",
		breaks: "alarms reach no operator",
		file:   "infra/construct/alarm.go",
		old:    `alarm.AddAlarmAction(action)`,
		new:    ``,
		by:     []string{alarms},
	},
	{
		id:     "infra/missing-metric-is-fine",
		breaks: "functions that no longer run raise no alarm",
		file:   "infra/construct/alarm.go",
		old:    `if props.AlwaysReported {`,
		new:    `if false {`,
		by:     []string{alarms},
	},
	{
		id:     "infra/batch-fails-as-a-whole",
		breaks: "one event that cannot be handled drags nine others into the dead letters",
		file:   "infra/construct/queue.go",
		old:    `ReportBatchItemFailures: jsii.Bool(true),`,
		new:    `ReportBatchItemFailures: jsii.Bool(false),`,
		by:     []string{invariants},
	},
	{
		id:     "infra/letters-older-than-the-policy",
		breaks: "Strava's data stays in queues for longer than its API Policy allows",
		file:   "infra/construct/queue.go",
		old:    `queueRetentionDays = 4`,
		new:    `queueRetentionDays = 14`,
		by:     []string{invariants},
	},
	{
		id:     "infra/undeliverable-events-lost",
		breaks: "an event that EventBridge cannot deliver is gone",
		file:   "infra/construct/eventconsumer.go",
		old:    `awseventstargets.NewSqsQueue(queue.Queue, &awseventstargets.SqsQueueProps{DeadLetterQueue: queue.DeadLetters})`,
		new:    `awseventstargets.NewSqsQueue(queue.Queue, &awseventstargets.SqsQueueProps{})`,
		by:     []string{invariants},
	},
	{
		id:     "infra/event-reaches-no-consumer",
		breaks: "gathering never learns that an athlete left",
		file:   "infra/stack/gathering.go",
		old:    `credentialsv1.AuthorizationRevoked{},`,
		new:    ``,
		by:     []string{"./test/infra ^TestEventsReachTheirConsumers$"},
	},
	{
		id:     "infra/table-not-recoverable",
		breaks: "an operator's mistake loses every athlete's grant",
		file:   "infra/construct/table.go",
		old:    `PointInTimeRecoveryEnabled: jsii.Bool(true),`,
		new:    `PointInTimeRecoveryEnabled: jsii.Bool(false),`,
		by:     []string{invariants},
	},
	{
		id:     "infra/gatherer-not-woken",
		breaks: "work that is due waits for the next webhook",
		file:   "infra/stack/gathering.go",
		old:    `&construct.ScheduleProps{Function: g.gatherWork, EveryMinutes: 1})`,
		new:    `&construct.ScheduleProps{Function: g.gatherWork, EveryMinutes: 60})`,
		by:     []string{gatherers},
	},
	{
		id:     "infra/plane-reads-tokens",
		breaks: "a function beside the requester can read athletes' tokens",
		file:   "infra/stack/credentials_parameters.go",
		old:    `c.allowParameter(c.checkSubscription, "GetParameter", appParameter)`,
		new:    `c.allowParameter(c.checkSubscription, "GetParameter", appParameter, accountParameters)`,
		by:     []string{"./test/infra ^TestFunctionsMayDoExactlyTheListedActions$"},
	},
}
