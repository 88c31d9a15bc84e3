// Package metric names the metrics of the credentials boundary. The code that
// counts, the alarms and the dashboard all use these names.
package metric
