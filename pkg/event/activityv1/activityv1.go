package activityv1

// Source of every event of this boundary.
const Source = "paceline.activity"

// Detail types.
const ErasureCompletedType = "ErasureCompleted.v1"

// ErasureCompleted says that this boundary holds nothing more of the athlete
// that the receipt stands for.
type ErasureCompleted struct {
	Receipt string `json:"receipt"`
}

// Source implements event.Fact.
func (ErasureCompleted) Source() string { return Source }

// DetailType implements event.Fact.
func (ErasureCompleted) DetailType() string { return ErasureCompletedType }
