package credentials

import (
	"cmp"
	"slices"
	"time"

	"github.com/paceline/paceline/pkg/event/credentialsv1"
)

// Erasure follows the erasure of an athlete's data in every boundary. It does not
// hold the athlete's id.
type Erasure struct {
	Receipt     string
	RequestedAt time.Time
	// Pending names the boundaries that have not confirmed yet.
	Pending []string
	// Confirmed is when each of the others has.
	Confirmed map[string]time.Time
	// CompletedAt is zero until every boundary has confirmed.
	CompletedAt time.Time
	// Issued says that the receipt was announced.
	Issued bool
}

// parts are those that were confirmed, in that order.
func (e Erasure) parts() (out []credentialsv1.ErasedPart) {
	for boundary, at := range e.Confirmed {
		out = append(out, credentialsv1.ErasedPart{Boundary: boundary, At: at.UTC()})
	}
	slices.SortFunc(out, func(a, b credentialsv1.ErasedPart) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Boundary, b.Boundary))
	})
	return out
}

// Boundaries that take part in an erasure.
const (
	PartCredentials = "credentials"
	PartGathering   = "gathering"
	PartAthlete     = "athlete"
	PartActivity    = "activity"
)
