// Package wiring builds the services of the credentials boundary that more than
// one function uses, over AWS and Strava. All functions that use tokens keep to one
// protocol by it (docs/token-safety.md).
package wiring
