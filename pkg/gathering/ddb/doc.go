// Package ddb stores the gathering boundary's state in one DynamoDB table.
//
// The table has the keys pk and sk (strings), the TTL attribute expires_at, and
// the sparse index [settings.WorkIndex] over queue (string) and due (number,
// Unix ms), which holds the keys of the work that waits. Items:
//
//   - athlete#<id>, state: an athlete with the scan; after leaving, a tombstone.
//   - athlete#<id>, mailbox: the hints nobody has looked into.
//   - athlete#<id>, seen#<digest>: a notice that was delivered.
//   - webhook, webhook: what the webhook accepts, and its last gap.
//   - webhook, day#<date>: how many notices were stored on that UTC day.
//   - quota, budget: the quota.
//
// An item in the index is due at due; its turn_due is what due was before
// somebody took it.
package ddb
