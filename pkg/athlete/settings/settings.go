package settings

import "strconv"

// MetricNamespace of every metric of this boundary.
const MetricNamespace = "Paceline/Athlete"

// Metrics that alarms and the dashboard look at.
const (
	// MetricKeptTooLong counts profiles that are kept longer than they may be.
	MetricKeptTooLong = "KeptTooLong"
	// MetricErasuresOverdue counts erasures that take too long.
	MetricErasuresOverdue = "ErasuresOverdue"
	// MetricErasuresPending counts all that are not completed.
	MetricErasuresPending = "ErasuresPending"
	// MetricErasuresCompleted counts those of the last seven days.
	MetricErasuresCompleted = "ErasuresCompleted"
)

// MetricProfilesByAge counts the profiles that were read that many days ago.
func MetricProfilesByAge(days int) string { return "ProfilesReadDaysAgo" + strconv.Itoa(days) }

// ServeAPI configures serve-api.
type ServeAPI struct {
	// SiteURL is the site's public origin, without a slash at its end.
	SiteURL       string `env:"SITE_URL,required"`
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}

// EnforceDeadlines configures enforce-deadlines.
type EnforceDeadlines struct {
	Stage         string `env:"STAGE,required"`
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}
