package settings

// ServeAPI configures serve-api.
type ServeAPI struct {
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}
