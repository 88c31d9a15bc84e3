package settings

// MetricNamespace of every metric of this boundary.
const MetricNamespace = "Paceline/Gathering"

// ReceiveWebhook configures receive-webhook.
type ReceiveWebhook struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WorkQueueURL   string `env:"WORK_QUEUE_URL,required"`
}

// GatherWork configures gather-work.
type GatherWork struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WorkQueueURL   string `env:"WORK_QUEUE_URL,required"`
	// RequesterFunction is the ARN of the credentials boundary's forward-request.
	RequesterFunction string `env:"REQUESTER_FUNCTION,required"`
	EventBusName      string `env:"EVENT_BUS_NAME,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WorkQueueURL   string `env:"WORK_QUEUE_URL,required"`
	EventBusName   string `env:"EVENT_BUS_NAME,required"`
}
