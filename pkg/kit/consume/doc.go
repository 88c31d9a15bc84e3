// Package consume receives events: EventBridge delivers to the consumer's own
// SQS queue, and Lambda hands over the queue's messages in batches.
//
// A message that fails is reported alone, so that its neighbours in the batch
// are not repeated; SQS redelivers it and, in the end, keeps it in the dead
// letters.
package consume
