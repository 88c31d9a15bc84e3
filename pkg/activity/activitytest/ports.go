package activitytest

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/eventtest"
)

// Ports are the ports of the activity plane, over a store and a bus in memory.
type Ports struct {
	activity.Ports
	Store *Store
	Bus   *eventtest.Bus
}

// NewPorts returns ports over an empty store. Their time is now's, and their
// events have the ids id-1, id-2 and so on.
func NewPorts(now func() time.Time) Ports {
	store, bus := NewStore(), &eventtest.Bus{}
	var ids atomic.Int64
	return Ports{
		Store: store, Bus: bus,
		Ports: activity.Ports{
			WriteStore: store, ReadStore: store, AuditStore: store, Publisher: bus,
			Events: event.Factory{Now: now, NewID: func() string { return "id-" + strconv.FormatInt(ids.Add(1), 10) }},
		},
	}
}
