// Package handler maps the AWS events of the gathering functions to the
// boundary's use cases, and their results to what AWS expects.
package handler
