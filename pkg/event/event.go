package event

import (
	"encoding/json"
	"fmt"
	"time"
)

// Fact is something a boundary announces: plain data with JSON tags, ids and
// facts only. It never holds a token, a secret or a row of a table.
type Fact interface {
	// Source is the announcing boundary, e.g. "paceline.credentials".
	Source() string
	// DetailType is the past-tense name with its major version, e.g.
	// "AthleteAuthorized.v1".
	DetailType() string
}

// Meta tells one event from another and what led to it.
type Meta struct {
	// ID is unique to the event; a consumer that sees it twice may ignore
	// the second.
	ID string `json:"id"`
	// OccurredAt is when the announcing boundary made it so.
	OccurredAt time.Time `json:"occurredAt"`
	// CorrelationID is shared by everything that one outside cause led to.
	CorrelationID string `json:"correlationId"`
	// CausationID is the ID of the event that led to this one; empty when
	// the cause came from outside.
	CausationID string `json:"causationId,omitempty"`
}

// Event is a fact ready to be published.
type Event struct {
	Meta Meta
	Fact Fact
}

// Detail is the JSON that EventBridge carries as the entry's detail.
func (e Event) Detail() ([]byte, error) {
	return json.Marshal(envelope[Fact]{Meta: e.Meta, Data: e.Fact})
}

type envelope[T any] struct {
	Meta Meta `json:"meta"`
	Data T    `json:"data"`
}

// Decode reads a detail as fact T, ignoring fields it does not know.
// An error means that the detail can never be read: retrying is useless.
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
