// Package handler connects the activity plane to Lambda: it handles the
// requests of the HTTP API, the events of the bus, and the scheduled audit.
package handler
