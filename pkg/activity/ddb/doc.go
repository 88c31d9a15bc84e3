// Package ddb keeps the activity plane's data in a DynamoDB table.
//
// The table has the partition key athlete_id (number), the sort key sk
// (string), the TTL attribute expires_at, and the index
// [settings.ActivitiesByStartIndex] over athlete_id and start (string), which
// projects everything. Items, by sk:
//
//   - activity#<id>: a reading. It has start, <RFC 3339 UTC>#<id padded to 19
//     digits>, so that the index orders a history totally; a gone activity's
//     item has none, and so is not in the index.
//   - sync: how far the scan is, with a version for optimistic locking.
//   - authorization: the tombstone of the latest revoked authorization.
//
// All items but the tombstone carry the generation they were written under,
// and each write of them is a transaction that checks the tombstone.
package ddb
