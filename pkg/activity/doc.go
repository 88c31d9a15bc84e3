// Package activity is the activity plane: it keeps the activities of each
// athlete as Strava last showed them, and answers that athlete's questions
// about them.
//
// Owns: the activities, how far the scan of each athlete's history is, and a
// tombstone for each revoked authorization.
//
// Emits: activityv1.ErasureCompleted.
//
// Consumes: gatheringv1.ActivitiesGathered, gatheringv1.ActivityGone,
// gatheringv1.ScanProgressed, credentialsv1.AuthorizationRevoked.
//
// Events come more than once and in any order, so that whatever is kept is a
// maximum: of an activity the newest reading, of a scan the newest report, of
// revocations the latest. A reading is newer than another if its
// authorization is newer or, under the same one, if it was read later; when
// both began at the same instant, the one that found the activity gone wins.
//
// Nothing of a revoked authorization can be written after its tombstone: the
// store checks the tombstone and writes in one atomic step, so that an erasure
// which sets the tombstone first and deletes afterwards leaves nothing behind,
// whatever else is running.
package activity
