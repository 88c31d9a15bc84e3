// Package ddb keeps the athlete plane's data in a DynamoDB table.
//
// The table has the partition key pk (string) and the TTL attribute
// expires_at. Items, by pk:
//
//   - athlete#<id>: an account, with a version for optimistic locking. It
//     expires once its tombstone and its profile are of no more use.
//   - erasure#<receipt>: how far an erasure is. It expires some time after the
//     erasure's end, and holds no athlete.
package ddb
