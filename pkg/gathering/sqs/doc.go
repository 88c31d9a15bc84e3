// Package sqs is the work queue.
package sqs
