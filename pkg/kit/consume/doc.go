// Package consume receives events. EventBridge delivers them to the consumer's
// own SQS queue, and Lambda passes on the queue's messages in batches.
//
// A message that fails is reported by itself, so that the others of the batch
// are not repeated. SQS redelivers it and finally moves it to the dead-letter
// queue.
package consume
