// Package secret holds values that must not be printed. It owns the redacting
// type; it emits and consumes nothing.
package secret
