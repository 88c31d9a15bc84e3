package activity

import "github.com/paceline/paceline/pkg/event"

// Ports holds what the use cases of the activity plane need, and builds them. A
// port may be nil if no use case that needs it is built.
type Ports struct {
	WriteStore WriteStore
	ReadStore  ReadStore
	AuditStore AuditStore
	Publisher  Publisher
	// Events also supplies the time.
	Events event.Factory
}

// Recorder returns the consumer of events.
func (p Ports) Recorder() *Recorder {
	return &Recorder{Store: p.WriteStore, Publisher: p.Publisher, Events: p.Events}
}

// Reader returns the queries of athletes.
func (p Ports) Reader() *Reader { return &Reader{Store: p.ReadStore, Now: p.Events.Now} }

// Sweeper returns what deletes old data.
func (p Ports) Sweeper() *Sweeper { return &Sweeper{Store: p.WriteStore, Now: p.Events.Now} }

// Auditor returns what counts old data.
func (p Ports) Auditor() *Auditor { return &Auditor{Store: p.AuditStore, Now: p.Events.Now} }
