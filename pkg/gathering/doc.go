// Package gathering is the boundary that reads Strava: the whole history of an
// athlete who connects, each change that a webhook reports, and all data again
// before it is seven days old.
//
// Owns: the webhook, each athlete's inbox and scan, and, in the package quota,
// the division of Strava's rate limits among classes of work.
//
// Publishes: AthleteGathered, ActivitiesGathered, ActivityGone, ScanProgressed,
// DeauthorizationReported, ErasureCompleted.
//
// Consumes: AthleteAuthorized, AuthorizationDegraded, AuthorizationRevoked and
// WebhookConfigured of credentials, GatherRequested of the athlete plane,
// RemovalQuestioned of the activity plane.
//
// Work is state: an athlete has two jobs, the scan and the inbox, and each
// [Job] says in which class it waits and since when it is due. A [Gatherer]
// leases the most urgent job that is due, makes one call to Strava with a
// permit of the quota, and stores the progress. It then releases, fails or
// drops the job. Messages only wake gatherers.
//
// The files say where each decision is made:
//
//   - webhookevent.go turns a webhook event into a hint; receiver.go decides
//     whether to accept a call of the webhook, and stores the hint.
//   - probe.go checks whether webhooks can arrive; webhookstate.go decides
//     whether the results open a gap.
//   - inboxplan.go decides what to do next for an inbox; scanplan.go when a scan
//     is due and in which class; promote.go moves scans to a higher class.
//   - gatherer.go picks jobs and runs them; inboxjob.go and scanjob.go make the
//     calls; scanadvance.go decides how a scan continues after a page or a
//     failure; hole.go handles what Strava fails to show.
//   - retry.go decides when failed work is tried again or quarantined.
//   - deadlines.go decides which data is too old to be kept.
//   - authorizations.go handles the events of other boundaries about athletes,
//     configuration.go the one about the webhook.
//   - composition.go puts the use cases together.
//
// In the package quota, admission.go decides whether a call may be made now,
// and reserve.go how many calls a class keeps from those below it.
//
// A failed call puts off only the piece of work that made it. No single answer
// deletes anything: a scan reports which stretches of the history it has read
// in full, and before many activities are removed a sample of them is read
// again (ADR 16).
//
// A webhook event is a hint: it carries no dependable signature, and it may
// come twice, late or out of order. It leads to a re-read, and only Strava's
// answer to that is published. A probe detects when events cannot arrive;
// afterwards all histories are read again. This boundary never sees a token:
// the requester, the credentials boundary's exported function, makes the calls.
// Coordinates, polylines and places are never decoded.
package gathering
