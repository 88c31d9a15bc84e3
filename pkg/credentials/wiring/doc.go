// Package wiring puts together, over AWS and Strava, what more than one function
// of the credentials boundary uses tokens by: all of them have to keep to the same
// protocol (docs/token-safety.md).
package wiring
