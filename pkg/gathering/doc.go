// Package gathering is the boundary that reads Strava: the whole history of an
// athlete who connects, and whatever a webhook says has changed.
//
// Owns: the webhook, the work queue, what is known of each athlete's scan, and
// the pause that Strava's rate limits impose.
//
// Emits: AthleteGathered, ActivitiesGathered, ActivityGone, ScanProgressed,
// DeauthorizationReported, ErasureCompleted.
//
// Consumes: AthleteAuthorized, AuthorizationDegraded, AuthorizationRevoked and
// WebhookConfigured of credentials.
//
// A webhook is a hint: it carries no dependable signature, and it may come
// twice, late or out of order. It leads to a re-read, and only what Strava
// then says is passed on. This boundary never sees a token; it asks the
// requester, the credentials boundary's exported function, to make its calls.
// Coordinates, polylines and places end here: they are not decoded.
package gathering
