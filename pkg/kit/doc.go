// Package kit is the root of small tools that every boundary shares and that
// know nothing of Strava or athletes: fault (kinds of errors), secret (a value
// that cannot be printed), env (settings from environment variables), obs
// (logs and metrics), ebus (publishing events), consume (receiving them), and
// httpapi (answers of the HTTP API).
package kit
