package athletev1

import "time"

// Source of every event of this boundary.
const Source = "paceline.athlete"

// Detail types.
const (
	GatherRequestedType  = "GatherRequested.v1"
	ErasureRequestedType = "ErasureRequested.v1"
)

// GatherRequested says that the athlete asked for their data to be read again.
type GatherRequested struct {
	AthleteID   int64     `json:"athlete_id"`
	Generation  int64     `json:"generation"`
	RequestedAt time.Time `json:"requested_at"`
}

// Source implements event.Fact.
func (GatherRequested) Source() string { return Source }

// DetailType implements event.Fact.
func (GatherRequested) DetailType() string { return GatherRequestedType }

// ErasureRequested says that the athlete asked to leave.
type ErasureRequested struct {
	AthleteID   int64     `json:"athlete_id"`
	Generation  int64     `json:"generation"`
	Receipt     string    `json:"receipt"`
	RequestedAt time.Time `json:"requested_at"`
}

// Source implements event.Fact.
func (ErasureRequested) Source() string { return Source }

// DetailType implements event.Fact.
func (ErasureRequested) DetailType() string { return ErasureRequestedType }
