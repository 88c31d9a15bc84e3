package infra

import (
	"fmt"
	"strings"
	"testing"

	"github.com/paceline/paceline/infra/config"
)

// What each alarm evaluates: metric, statistic, period in seconds, threshold,
// periods, and whether missing values raise it. Those of functions and queues
// are checked by their kind.
var evaluations = map[string]string{
	"Platform.ApiAlarm":                "AWS/ApiGateway 5xx Sum 300 5 1 notBreaching",
	"Platform.WebhookRefusedAlarm":     "Paceline/Gathering WebhooksRefused Sum 300 5 1 notBreaching",
	"Credentials.TokensUnsavedAlarm":   "Paceline/Credentials TokensUnsaved Sum 300 1 1 notBreaching",
	"Credentials.GrantsDegradedAlarm":  "Paceline/Credentials GrantsDegraded Sum 3600 5 1 notBreaching",
	"Credentials.CallsFailedAlarm":     "Paceline/Credentials CallsFailed Sum 900 5 1 notBreaching",
	"Credentials.CallsUnavailable":     "Paceline/Credentials CallsUnavailable Sum 900 5 1 notBreaching",
	"Credentials.CallsAppRefusedAlarm": "Paceline/Credentials CallsAppRefused Sum 900 1 1 notBreaching",
	"Credentials.TasksOverdueAlarm":    "Paceline/Credentials TasksOverdue Maximum 900 1 1 notBreaching",
	"Credentials.AthletesAuthorized":   "Paceline/Credentials AthletesAuthorized Maximum 900 9 1 notBreaching", // 90 % of 10
	"Gathering.RateLimitedAlarm":       "Paceline/Gathering RateLimited Sum 900 1 1 notBreaching",
	"Gathering.JobsQuarantinedAlarm":   "Paceline/Gathering JobsQuarantined Sum 900 1 1 notBreaching",
	"Gathering.JobsFailedAlarm":        "Paceline/Gathering JobsFailed Sum 900 5 1 notBreaching",
	"Gathering.PausedAlarm":            "Paceline/Gathering PausedSeconds Maximum 300 1800 1 notBreaching",
	"Gathering.WebhookAgeAlarm":        "Paceline/Gathering OldestWebhookSeconds Maximum 300 900 1 notBreaching",
	"Gathering.WebhookUnhealthyAlarm":  "Paceline/Gathering WebhookUnhealthySeconds Maximum 300 900 3 breaching",
	"Gathering.SubscriptionLostAlarm":  "Paceline/Gathering SubscriptionLost Maximum 300 1 1 breaching",
	"Gathering.KeptTooLongAlarm":       "Paceline/Gathering KeptTooLong Maximum 7200 1 1 breaching",
	"AthletePlane.KeptTooLongAlarm":    "Paceline/Athlete KeptTooLong Maximum 3600 1 1 breaching",
	"AthletePlane.ErasuresOverdue":     "Paceline/Athlete ErasuresOverdue Maximum 3600 1 1 breaching",
	"ActivityPlane.KeptTooLongAlarm":   "Paceline/Activity KeptTooLong Maximum 43200 1 1 breaching",
}

func TestEveryAlarmIsRaised(t *testing.T) {
	s := synth(t, config.Prod)
	found := 0
	for _, a := range s.resources("AWS::CloudWatch::Alarm") {
		got := fmt.Sprintf("%v %v %v %v %v %v %v", a.at("Namespace"), a.at("MetricName"), a.at("Statistic"), a.at("Period"),
			a.at("Threshold"), a.at("EvaluationPeriods"), a.at("TreatMissingData"))
		want := evaluation(a, &found)
		if got != want {
			t.Errorf("%s evaluates %q, want %q", a, got, want)
		}
		if a.at("ComparisonOperator") != "GreaterThanOrEqualToThreshold" {
			t.Errorf("%s compares by %v", a, a.at("ComparisonOperator"))
		}
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			list, _ := a.at(actions).([]any)
			if len(list) != 1 || owner(s.text(a.stack, list[0])) != s.find(t, "Platform", "AWS::SNS::Topic", "").String() {
				t.Errorf("%s notifies %v by its %s", a, list, actions)
			}
		}
	}
	if found != len(evaluations) {
		t.Errorf("of %d alarms on metrics %d were found", len(evaluations), found)
	}
}

// evaluation is what the alarm has to evaluate, and counts those of evaluations.
func evaluation(a resource, found *int) string {
	name := a.String()
	for prefix, want := range evaluations {
		if strings.HasPrefix(name, prefix) {
			*found++
			return want
		}
	}
	switch {
	case strings.Contains(name, "DeadLetters"): // The first one.
		return "AWS/SQS ApproximateNumberOfMessagesVisible Maximum 60 1 1 notBreaching"
	case strings.HasPrefix(name, "ActivityPlane.auditactivities"), strings.HasPrefix(name, "ActivityPlane.expireactivities"),
		strings.HasPrefix(name, "Gathering.enforcedeadlines"): // They run at most once an hour.
		return "AWS/Lambda Errors Sum 900 1 1 notBreaching"
	}
	return "AWS/Lambda Errors Sum 900 3 1 notBreaching"
}
