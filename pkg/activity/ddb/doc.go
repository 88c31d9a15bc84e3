// Package ddb keeps the activity plane's data in a DynamoDB table.
//
// The table has the partition key athlete_id (number), the sort key sk
// (string), the TTL attribute expires_at, and two indexes:
// [settings.ActivitiesByStartIndex] over athlete_id and start (string), which
// projects everything, and [settings.ActivitiesByAgeIndex] over kind (string)
// and oldest (number), which projects keys only. Items, by sk:
//
//   - activity#<id>: a row. It has start, <RFC 3339 UTC>#<id padded to 19
//     digits>, so that the index orders a history totally; a gone activity's
//     row has none, and so is not in the index.
//   - authorization: the fence.
//   - sync: how far the scan is.
//   - tally#<YYYY-MM>: a tally.
//
// Every write is one transaction that builds on what was read before, and on
// the condition that all of it is still so: each row by the reading that it is
// of, everything else by its revision, which is random so that none comes
// twice. When the condition fails, it is read and decided again. So rows and
// tallies cannot differ, and no write slips past a fence.
package ddb
