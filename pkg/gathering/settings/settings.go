package settings

// WorkIndex is the sparse index of the gathering table that lists the jobs that
// wait: partition key queue, sort key due.
const WorkIndex = "work"

// ReceiveWebhook configures receive-webhook.
type ReceiveWebhook struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WakeQueueURL   string `env:"WAKE_QUEUE_URL,required"`
	EventBusName   string `env:"EVENT_BUS_NAME,required"`
}

// GatherWork configures gather-work.
type GatherWork struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WakeQueueURL   string `env:"WAKE_QUEUE_URL,required"`
	// RequesterFunction is the ARN of the credentials boundary's forward-request.
	RequesterFunction string `env:"REQUESTER_FUNCTION,required"`
	EventBusName      string `env:"EVENT_BUS_NAME,required"`
}

// HandleEvents configures handle-events.
type HandleEvents struct {
	GatheringTable string `env:"GATHERING_TABLE,required"`
	WakeQueueURL   string `env:"WAKE_QUEUE_URL,required"`
	EventBusName   string `env:"EVENT_BUS_NAME,required"`
}

// ShowStatus configures show-status.
type ShowStatus struct {
	GatheringTable string `env:"GATHERING_TABLE,required"`
}

// ProbeWebhook configures probe-webhook.
type ProbeWebhook struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
	// CheckFunction is the ARN of the credentials boundary's check-subscription.
	CheckFunction string `env:"CHECK_FUNCTION,required"`
}

// EnforceDeadlines configures enforce-deadlines.
type EnforceDeadlines struct {
	Stage          string `env:"STAGE,required"`
	GatheringTable string `env:"GATHERING_TABLE,required"`
}
