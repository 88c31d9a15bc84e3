// Package athletetest has what tests of the athlete plane need: a store in
// memory, and the suite that every store must pass.
package athletetest
