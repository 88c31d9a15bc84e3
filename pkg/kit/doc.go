// Package kit is the root of small tools that every boundary shares and that
// know nothing of Strava or athletes: fault (kinds of errors), secret (a value
// that cannot be printed), env (settings from environment variables), obs
// (metrics), ebus (publishing events), consume (receiving them), httpapi
// (answers of the HTTP API), httpcall (calls to others), and boot (what every
// main does first).
package kit
