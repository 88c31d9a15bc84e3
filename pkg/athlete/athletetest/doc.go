// Package athletetest has the ports of the athlete plane in memory, and the
// conformance suite of its stores.
package athletetest
