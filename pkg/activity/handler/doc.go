// Package handler connects the activity plane to Lambda: it handles the
// requests of the HTTP API, the events of the bus, and the hourly audit.
package handler
