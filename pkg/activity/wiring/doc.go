// Package wiring connects the ports of the activity plane to AWS.
package wiring
