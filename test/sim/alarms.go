package sim

import (
	"bytes"
	"strings"
	"time"
)

// alarmSpec is a CloudWatch alarm that watches a metric of the system's own or the
// errors of a function. Those that watch AWS's other metrics are not played.
type alarmSpec struct {
	name string
	// metric is that which the alarm watches, as [alarms.count] names it.
	metric string
	// sum says that the values in a period are added up. Otherwise the largest
	// counts.
	sum       bool
	period    time.Duration
	threshold float64
}

// lambdaErrors is the namespace of the functions' errors, whose names stand for
// those of metrics.
const lambdaErrors = "AWS/Lambda"

// alarm reads an alarm.
func (r *deploymentReader) alarm(id resourceID) error {
	var p struct {
		AlarmName, MetricName, Namespace, Statistic string
		Period                                      int
		Threshold                                   float64
		Dimensions                                  []struct {
			Name  string
			Value reference
		}

		AlarmActions, AlarmDescription, ComparisonOperator, EvaluationPeriods, OKActions, Tags, TreatMissingData any
	}
	if err := r.properties(id, &p); err != nil {
		return err
	}
	spec := alarmSpec{p.AlarmName, p.Namespace + " " + p.MetricName, p.Statistic == "Sum", seconds(p.Period), p.Threshold}
	switch {
	case p.Namespace == lambdaErrors:
		name, err := r.nameOf(id, p.Dimensions[0].Value)
		if err != nil {
			return err
		}
		spec.metric = lambdaErrors + " " + name
	case !strings.HasPrefix(p.Namespace, "Paceline/"):
		return nil
	}
	r.deployment.alarms = append(r.deployment.alarms, spec)
	return nil
}

// alarms are the alarms of a run.
type alarms struct {
	all      []*alarm
	byMetric map[string][]*alarm
}

// alarm is one alarm.
type alarm struct {
	alarmSpec
	// began is when the present period began, and value what was counted in it.
	began time.Time
	value float64
	// rang is when it last rang.
	rang time.Time
}

func newAlarms(d *deployment) *alarms {
	a := &alarms{byMetric: map[string][]*alarm{}}
	for _, spec := range d.alarms {
		one := &alarm{alarmSpec: spec}
		a.all = append(a.all, one)
		a.byMetric[spec.metric] = append(a.byMetric[spec.metric], one)
	}
	return a
}

// count takes in a value of a metric: its namespace and its name.
func (a *alarms) count(metric string, value float64) {
	for _, one := range a.byMetric[metric] {
		now := time.Now()
		if began := now.Truncate(one.period); !began.Equal(one.began) {
			one.began, one.value = began, 0
		}
		if one.sum {
			one.value += value
		} else {
			one.value = max(one.value, value)
		}
		if one.value >= one.threshold {
			one.rang = now
		}
	}
}

// meter is the port by which a boundary counts its metrics.
type meter struct {
	alarms    *alarms
	namespace string
}

// Count implements credentials.Metrics and gathering.Metrics.
func (m meter) Count(metric string, n int) { m.alarms.count(m.namespace+" "+metric, float64(n)) }

// Write takes in what a function writes in the embedded metric format, without
// decoding it, which would take a twentieth of a run's time. It implements
// [io.Writer].
func (m meter) Write(line []byte) (int, error) {
	for metric := range m.alarms.byMetric {
		name, ours := strings.CutPrefix(metric, m.namespace+" ")
		if _, value, found := bytes.Cut(line, []byte(`"`+name+`":`)); ours && found {
			m.alarms.count(metric, float64(leadingInt(value)))
		}
	}
	return len(line), nil
}
