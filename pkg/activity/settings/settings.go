package settings

// ActivitiesByStartIndex is the index of the activities table that orders an
// athlete's activities by start: partition key athlete_id, sort key start.
const ActivitiesByStartIndex = "by-start"

// ServeAPI configures serve-api.
type ServeAPI struct {
	ActivitiesTable string `env:"ACTIVITIES_TABLE,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	ActivitiesTable string `env:"ACTIVITIES_TABLE,required"`
	EventBusName    string `env:"EVENT_BUS_NAME,required"`
}
