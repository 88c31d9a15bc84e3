// Package emf writes metrics in CloudWatch's embedded metric format: a line of
// JSON on standard output, which CloudWatch turns into metrics.
package emf
