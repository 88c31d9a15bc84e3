package settings

// ActivitiesByStartIndex is the index of the activities table that orders an
// athlete's activities by start: partition key athlete_id, sort key start.
const ActivitiesByStartIndex = "by-start"

// ActivitiesByAgeIndex is the index of the activities table that orders monthly
// totals, deletions and syncs by when their oldest data was read: partition key
// kind, sort key oldest, keys only.
const ActivitiesByAgeIndex = "by-age"

// ServeAPI configures serve-api.
type ServeAPI struct {
	ActivitiesTable string `env:"ACTIVITIES_TABLE,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	ActivitiesTable string `env:"ACTIVITIES_TABLE,required"`
	EventBusName    string `env:"EVENT_BUS_NAME,required"`
}

// ExpireActivities configures expire-activities.
type ExpireActivities struct {
	ActivitiesTable string `env:"ACTIVITIES_TABLE,required"`
}

// AuditActivities configures audit-activities.
type AuditActivities struct {
	Stage           string `env:"STAGE,required"`
	ActivitiesTable string `env:"ACTIVITIES_TABLE,required"`
}
