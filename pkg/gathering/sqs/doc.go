// Package sqs wakes gatherers by a queue.
package sqs
