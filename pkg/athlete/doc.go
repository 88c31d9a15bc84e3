// Package athlete is the athlete plane: it keeps each athlete's profile as
// Strava last showed it and what they allowed, takes an athlete's wishes for a
// refresh and to leave, and tells how far the erasure that follows is.
//
// Owns: the profiles, what was allowed, a tombstone for each revoked authorization, and the state
// of each erasure, which holds nothing of the athlete it is about.
//
// Emits: athletev1.GatherRequested, athletev1.ErasureRequested,
// athletev1.ErasureCompleted.
//
// Consumes: gatheringv1.AthleteGathered, credentialsv1.AthleteAuthorized,
// credentialsv1.AuthorizationDegraded, credentialsv1.AuthorizationRevoked,
// credentialsv1.AccountLinked, credentialsv1.AccountUnlinked,
// credentialsv1.ErasureReceiptIssued.
//
// Profile, authorization and tombstone are one [Account], which is changed as a whole: no
// late event can bring back what was erased. [Deadlines] sees to it that nothing
// is kept past its right and that no erasure is forgotten.
package athlete
