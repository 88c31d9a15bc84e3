// Package emf writes metrics in CloudWatch's embedded metric format: a line of
// JSON on standard output that CloudWatch turns into metrics, without a call.
// Logs need no package of ours: mains pass on lambdacontext.NewLogger.
package emf
