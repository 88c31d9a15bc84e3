// Package ddb keeps the athlete plane's data in a DynamoDB table.
//
// The table has the partition key pk (string) and the TTL attribute
// expires_at. Items, by pk:
//
//   - athlete#<id>: an account, with a version for optimistic locking. It
//     expires only when nothing but the tombstone is left of it.
//   - erasure#<receipt>: how far an erasure is. It expires some time after the
//     erasure's end, and holds no athlete.
package ddb
