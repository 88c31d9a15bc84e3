// Package handler maps requests of the HTTP API, events of the bus, and
// invocations to the use cases of the athlete plane.
package handler
