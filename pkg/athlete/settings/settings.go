package settings

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
}

// EnforceDeadlines configures enforce-deadlines.
type EnforceDeadlines struct {
	Stage         string `env:"STAGE,required"`
	AthletesTable string `env:"ATHLETES_TABLE,required"`
	EventBusName  string `env:"EVENT_BUS_NAME,required"`
}

// CountErasures configures count-erasures.
type CountErasures struct {
	AthletesTable string `env:"ATHLETES_TABLE,required"`
}
