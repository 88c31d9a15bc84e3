// Package athlete is the athlete plane: it stores each athlete's profile as
// Strava last showed it, what the athlete allowed, and the state of each
// erasure. It takes gather requests and requests to leave.
//
// Owns: the profiles, what was allowed, a tombstone for each revoked
// authorization, and the ledger of erasures, which names no athlete.
//
// Publishes: athletev1.GatherRequested, athletev1.ErasureRequested.
//
// Consumes: gatheringv1.AthleteGathered, credentialsv1.AthleteAuthorized,
// credentialsv1.AuthorizationDegraded, credentialsv1.AuthorizationRevoked,
// credentialsv1.AccountLinked, credentialsv1.AccountUnlinked, and
// ErasureCompleted of credentials, gathering and the activity plane.
//
// Profile, authorization and tombstone are one [Account], which is changed as a
// whole: no late event can bring back what was erased. An [Erasure] is complete
// when all of its parts have confirmed, in any order; see docs/adr/0020.
// [Deadlines] drops profiles that were kept for as long as they may be, and
// counts overdue erasures.
package athlete
