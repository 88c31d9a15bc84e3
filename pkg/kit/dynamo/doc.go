// Package dynamo reads and writes the items of a DynamoDB table: conditional
// updates that retry when two writers conflict ([Update], [Backoff]), batches
// whose unprocessed leftovers are sent again, queries and scans page by page,
// and one encoding for times.
//
// Every error is a fault: [fault.Conflict] if a condition failed, another
// transaction held the item, or a transaction was throttled; [fault.Permanent]
// if an item cannot be decoded; and [fault.Transient] for every other answer of
// DynamoDB.
package dynamo
