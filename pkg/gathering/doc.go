// Package gathering is the boundary that reads Strava: the whole history of an
// athlete who connects, whatever a webhook says has changed, and everything
// again before it is too old to be kept.
//
// Owns: the webhook, each athlete's mailbox of hints and scan, and, in the
// package quota, the share of Strava's rate limits that each class of work has.
//
// Emits: AthleteGathered, ActivitiesGathered, ActivityGone, ScanProgressed,
// DeauthorizationReported, ErasureCompleted.
//
// Consumes: AthleteAuthorized, AuthorizationDegraded, AuthorizationRevoked and
// WebhookConfigured of credentials, GatherRequested of the athlete plane.
//
// Work is state: an athlete has two pieces of work at most, the scan and the
// mailbox, and each has a [Job] that says in which class it waits and since
// when it is due. Gatherers take the most urgent piece that is due, make one
// call to Strava, and write down how far they got. Messages only wake them.
//
// A webhook is a hint: it carries no dependable signature, and it may come
// twice, late or out of order. It leads to a re-read, and only what Strava
// then says is passed on. Some never come: a probe notices when they cannot,
// and then everybody's history is read again. This boundary never sees a token; it asks the
// requester, the credentials boundary's exported function, to make its calls.
// Coordinates, polylines and places end here: they are not decoded.
package gathering
