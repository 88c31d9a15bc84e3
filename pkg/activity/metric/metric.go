package metric

import "strconv"

// Namespace of every metric of this boundary in CloudWatch.
const Namespace = "Paceline/Activity"

// KeptTooLong counts items that are kept longer than they may be. An alarm
// watches it.
const KeptTooLong = "KeptTooLong"

// ActivitiesByAge returns the name of the metric that counts the activities
// that were read that many days ago, rounded down.
func ActivitiesByAge(days int) string {
	return "ActivitiesReadDaysAgo" + strconv.Itoa(days)
}
