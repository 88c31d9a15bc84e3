package event

import (
	"encoding/json"
	"fmt"
	"time"
)

// Fact is what happened in a boundary, as plain data with JSON tags. It never
// contains a token, a secret or an item of a table.
type Fact interface {
	// Source is the publishing boundary, e.g. "paceline.credentials".
	Source() string
	// DetailType is the past-tense name with its major version, e.g.
	// "AthleteAuthorized.v1".
	DetailType() string
}

// Meta identifies an event and its cause.
type Meta struct {
	// ID is unique to the event. A consumer that receives an event with the same
	// ID again may ignore it.
	ID string `json:"id"`
	// OccurredAt is when the fact occurred in the publishing boundary.
	OccurredAt time.Time `json:"occurredAt"`
	// CorrelationID is the same for all events that one outside cause led to.
	CorrelationID string `json:"correlationId"`
	// CausationID is the ID of the event that led to this one; empty if the cause
	// lies outside the system.
	CausationID string `json:"causationId,omitempty"`
}

// Event is a fact ready to be published.
type Event struct {
	Meta Meta
	Fact Fact
}

// Detail returns the event as the JSON of an EventBridge entry's detail.
func (e Event) Detail() ([]byte, error) {
	return json.Marshal(envelope[Fact]{Meta: e.Meta, Data: e.Fact})
}

type envelope[T any] struct {
	Meta Meta `json:"meta"`
	Data T    `json:"data"`
}

// Decode reads a detail with a fact T, ignoring unknown fields. An error is
// permanent.
func Decode[T Fact](detail []byte) (Meta, T, error) {
	var e envelope[T]
	if err := json.Unmarshal(detail, &e); err != nil {
		return Meta{}, e.Data, fmt.Errorf("decode %s: %w", e.Data.DetailType(), err)
	}
	return e.Meta, e.Data, nil
}

// Factory makes events. It supplies their ids and times, and the time to the
// domain code that holds it.
type Factory struct {
	Now   func() time.Time
	NewID func() string
}

// New returns an event with a cause outside the system.
func (f Factory) New(fact Fact) Event {
	id := f.NewID()
	return Event{Meta: Meta{ID: id, OccurredAt: f.Now().UTC(), CorrelationID: id}, Fact: fact}
}

// CausedBy returns an event that another one led to. A zero cause lies outside
// the system, as for [Factory.New].
func (f Factory) CausedBy(cause Meta, fact Fact) Event {
	if cause.ID == "" {
		return f.New(fact)
	}
	return Event{
		Meta: Meta{ID: f.NewID(), OccurredAt: f.Now().UTC(), CorrelationID: cause.CorrelationID, CausationID: cause.ID},
		Fact: fact,
	}
}
