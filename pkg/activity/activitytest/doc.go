// Package activitytest supports tests of the activity plane. It has a store in
// memory, the suite that every store must pass, random histories, and Ports
// that build use cases over the store.
package activitytest
