// Package secret has a type for values that must not be printed.
package secret
