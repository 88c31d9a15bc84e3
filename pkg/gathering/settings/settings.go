package settings

// ReceiveWebhook configures receive-webhook.
type ReceiveWebhook struct {
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WorkQueueURL   string `env:"WORK_QUEUE_URL,required"`
	EventBusName   string `env:"EVENT_BUS_NAME,required"`
}

// GatherWork configures gather-work.
type GatherWork struct {
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WorkQueueURL   string `env:"WORK_QUEUE_URL,required"`
	// RequesterFunction is the ARN of the credentials boundary's forward-request.
	RequesterFunction string `env:"REQUESTER_FUNCTION,required"`
	EventBusName      string `env:"EVENT_BUS_NAME,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WorkQueueURL   string `env:"WORK_QUEUE_URL,required"`
	EventBusName   string `env:"EVENT_BUS_NAME,required"`
}
