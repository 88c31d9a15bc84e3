package sim

import (
	"context"
	"maps"
	"net/http"
	"time"
)

// deployed is the cloud of a world.
type deployed struct {
	*cloud
	queues  map[string]*queue
	bus     *bus
	gateway *gateway
}

// wakeQueueName is the queue of wake-ups for gatherers.
const wakeQueueName = "gathering/WorkQueue"

// newDeployed returns the cloud with everything that the templates deploy,
// except functions.
func (w *world) newDeployed() deployed {
	c := &cloud{k: w.k, random: rng(w.plan.Seed, "cloud", 0), inspect: w.inspect, draw: w.draw, invoke: w.invoke, invokeAsync: w.invokeAsync, idle: w.idle}
	queues := newQueues(c, w.deployment)
	return deployed{c, queues, newBus(c, w.deployment, queues), newGateway(c, w.deployment)}
}

// waker is the wake queue as the gatherers' port.
type waker struct{ queue *queue }

// Wake implements [gathering.Waker].
func (s waker) Wake(_ context.Context, after time.Duration) error {
	s.queue.send("{}", after)
	return nil
}

// request sends a request to the site's origin and returns the response. It must
// be called from within a process.
func (w *world) request(r *http.Request) (*http.Response, error) { return w.cloud.gateway.RoundTrip(r) }

// addCloud adds the failures of the cloud's parts.
func addCloud(c map[string][]kind) {
	d, err := loadDeployment()
	if err != nil {
		panic(err)
	}
	maps.Copy(c, d.cloudKinds())
}
