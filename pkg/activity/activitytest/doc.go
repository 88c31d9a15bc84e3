// Package activitytest has what tests of the activity plane need: a store in
// memory, and the suite that every store must pass.
package activitytest
