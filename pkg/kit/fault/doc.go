// Package fault classifies errors by what a caller can do about them.
package fault
