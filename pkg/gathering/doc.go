// Package gathering is the boundary that reads Strava: the whole history of an
// athlete who connects, whatever a webhook says has changed, and everything
// again before it is seven days old.
//
// Owns: the webhook, each athlete's inbox and scan, and, in the package quota,
// the division of Strava's rate limits among classes of work.
//
// Emits: AthleteGathered, ActivitiesGathered, ActivityGone, ScanProgressed,
// DeauthorizationReported, ErasureCompleted.
//
// Consumes: AthleteAuthorized, AuthorizationDegraded, AuthorizationRevoked and
// WebhookConfigured of credentials, GatherRequested of the athlete plane,
// RemovalQuestioned of the activity plane.
//
// Work is state: an athlete has two jobs, the scan and the inbox, and each
// [Job] says in which class it waits and since when it is due. A [Gatherer]
// leases the most urgent job that is due, makes one call to Strava with a
// permit of the quota, and writes down how far it got. All that it can do with
// a job is run, release, fail or drop it. Messages only wake gatherers.
//
// A failure belongs to the piece of work that met it, and only that piece backs
// off. No single answer deletes anything: a scan reports which stretches of the
// history it has read in full, and before many activities are removed a sample
// of them is read again (ADR 16).
//
// A webhook event is a hint: it carries no dependable signature, and it may
// come twice, late or out of order. It leads to a re-read, and only what Strava
// then answers is published. When events cannot arrive, a probe notices, and
// afterwards all histories are read again. This boundary never sees a token:
// the requester, the credentials boundary's exported function, makes the calls.
// Coordinates, polylines and places are never decoded.
package gathering
