package activityv1

// Source of every event of this boundary.
const Source = "paceline.activity"

// Detail types.
const (
	ErasureCompletedType  = "ErasureCompleted.v1"
	RemovalQuestionedType = "RemovalQuestioned.v1"
)

// ErasureCompleted says that this boundary has erased all data of the receipt's
// athlete.
type ErasureCompleted struct {
	Receipt string `json:"receipt"`
}

// Source implements event.Fact.
func (ErasureCompleted) Source() string { return Source }

// DetailType implements event.Fact.
func (ErasureCompleted) DetailType() string { return ErasureCompletedType }

// RemovalQuestioned says that a completed scan did not find many of the stored
// activities: more than one scan may remove. Nothing was removed. A confirmed
// gatheringv1.ScanProgressed of the same scan removes them; a newer scan makes
// the question void. The event may be published more than once.
type RemovalQuestioned struct {
	AthleteID  int64  `json:"athlete_id"`
	Generation int64  `json:"generation"`
	ScanID     string `json:"scan_id"`
	// Missing is how many stored activities the scan did not find.
	Missing int `json:"missing"`
	// Held is how many activities are stored, including the missing ones.
	Held int `json:"held"`
	// Sample has the ids of at most [MaxSample] of the missing activities, spread
	// evenly over them by start.
	Sample []int64 `json:"sample"`
}

// MaxSample is how many ids a sample has at most.
const MaxSample = 5

// Source implements event.Fact.
func (RemovalQuestioned) Source() string { return Source }

// DetailType implements event.Fact.
func (RemovalQuestioned) DetailType() string { return RemovalQuestionedType }
