package metric

import "strconv"

// Namespace of every metric of this boundary in CloudWatch.
const Namespace = "Paceline/Athlete"

// Metrics that alarms and the dashboard look at.
const (
	// KeptTooLong counts profiles that are kept longer than they may be.
	KeptTooLong = "KeptTooLong"
	// ErasuresOverdue counts erasures that take too long.
	ErasuresOverdue = "ErasuresOverdue"
	// ErasuresPending counts all that are not completed.
	ErasuresPending = "ErasuresPending"
	// ErasuresCompleted counts those of the last seven days.
	ErasuresCompleted = "ErasuresCompleted"
)

// ProfilesByAge counts the profiles that were read that many days ago.
func ProfilesByAge(days int) string { return "ProfilesReadDaysAgo" + strconv.Itoa(days) }
