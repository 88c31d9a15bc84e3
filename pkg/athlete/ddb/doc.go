// Package ddb stores the athlete plane's data in a DynamoDB table.
//
// The table has the partition key pk (string) and the TTL attribute
// expires_at. Items, by pk:
//
//   - athlete#<id>: an account. It expires when neither its tombstone nor its
//     profile is needed any more.
//   - erasure#<receipt>: the state of an erasure. It names no athlete and never
//     expires.
package ddb
