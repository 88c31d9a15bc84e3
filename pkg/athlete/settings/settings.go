package settings

// MetricNamespace of every metric of this boundary.
const MetricNamespace = "Paceline/AthletePlane"

// ServeAPI configures serve-api.
type ServeAPI struct {
	Stage         string `env:"STAGE,required"`
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	Stage         string `env:"STAGE,required"`
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}
