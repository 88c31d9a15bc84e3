// Package handler turns what AWS invokes the credentials functions with into
// the boundary's use cases, and their results into what AWS expects.
package handler
