// Package gathering is the boundary that reads Strava: the whole history of an
// athlete who connects, whatever a webhook says has changed, and everything
// again before it is too old to be kept.
//
// Owns: the webhook, each athlete's inbox of hints and scan, and, in the package
// quota, how Strava's rate limits are divided among classes of work.
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
// leases the most urgent job that is due, makes one call to Strava with a permit
// of the quota, and writes down how far it got. It knows no more of a job than
// how to run, release, fail and drop it. Messages only wake gatherers.
//
// A failure belongs to the piece of work that met it, which backs off by itself.
// No single answer deletes anything: a scan reports what it has read in full,
// and a large difference is looked at twice (ADR 16).
//
// A webhook event is a hint: it carries no dependable signature, and it may come
// twice, late or out of order. It leads to a re-read, and only what Strava then
// answers is published. Some events never come: a probe notices when they cannot,
// and then all histories are read again. This boundary never sees a token; it asks the requester,
// the credentials boundary's exported function, to make its calls. Coordinates,
// polylines and places end here: they are not decoded.
package gathering
