// Package ddb stores the gathering boundary's state in one DynamoDB table.
//
// The table has the keys pk and sk (strings), the TTL attribute expires_at, and
// the sparse index [settings.WorkIndex] over queue (string) and due (number,
// Unix ms), which holds the keys of the jobs that wait. Items:
//
//   - athlete#<id>, state: an athlete with the scan; after leaving, a tombstone.
//   - athlete#<id>, inbox: an athlete's inbox.
//   - athlete#<id>, seen#<digest>: a webhook event that was delivered.
//   - webhook, webhook: what the webhook accepts, its health, and its last gap.
//   - webhook, day#<date>: how many events were stored on that UTC day.
//   - quota, budget: the quota.
//
// A job is stored with job_due, the time at which it is due. due is the same,
// or the end of the lease while the job is leased.
package ddb
