// Package fault tells kinds of errors apart by what the caller should do
// about them. It owns the kinds; it emits and consumes nothing.
package fault
