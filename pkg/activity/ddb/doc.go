// Package ddb keeps the activity plane's data in a DynamoDB table.
//
// The table has the partition key athlete_id (number), the sort key sk
// (string), the TTL attribute expires_at, and two indexes:
// [settings.ActivitiesByStartIndex] over athlete_id and start (string), which
// projects everything, and [settings.ActivitiesByAgeIndex] over kind (string)
// and oldest (number), which projects keys only. Items, by sk:
//
//   - activity#<id>: a record. Its start is <RFC 3339 UTC>#<id padded to 19
//     digits>, so that the index orders a history totally. A deletion has no
//     start and so is not in that index.
//   - guard: the guard.
//   - sync: the sync.
//   - totals#<YYYY-MM>: the totals of a month.
//
// Every write is conditional on what was read before it: a record is identified
// by its reading, every other item by its [dynamo.Revision]. If a condition
// fails, the write starts over. A record and its month's totals are written in
// one transaction, which also checks the guard. So records and totals always
// match, and no write passes a guard.
package ddb
