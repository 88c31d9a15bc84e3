package metric

import "strconv"

// Namespace of every metric of this boundary in CloudWatch.
const Namespace = "Paceline/Activity"

// KeptTooLong counts what is kept longer than it may be. An alarm looks at
// it.
const KeptTooLong = "KeptTooLong"

// ActivitiesByAge names the metric of the activities that were read so many
// days ago, rounded down.
func ActivitiesByAge(days int) string {
	return "ActivitiesReadDaysAgo" + strconv.Itoa(days)
}
