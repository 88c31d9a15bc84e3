// Package handler maps the invocations of the credentials functions to the
// boundary's use cases, and their results to the responses that AWS expects.
package handler
