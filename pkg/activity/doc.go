// Package activity is the activity plane: it keeps the activities of each
// athlete as Strava last showed them, with their totals, for as long as it may,
// and answers that athlete's questions about them.
//
// Owns: the activities, the tallies that totals are made of, how far the scan of
// each athlete's history is, and a fence for each athlete.
//
// Emits: activityv1.RemovalQuestioned, activityv1.ErasureCompleted.
//
// Consumes: gatheringv1.ActivitiesGathered, gatheringv1.ActivityGone,
// gatheringv1.ScanProgressed, credentialsv1.AthleteAuthorized,
// credentialsv1.AuthorizationDegraded, credentialsv1.AuthorizationRevoked.
//
// Events come more than once and in any order, so that whatever is kept is a
// maximum: of an activity the newest reading, of a scan the newest report, of
// the parts of a fence the latest. A reading is newer than another if its
// authorization is newer or, under the same one, if it was read later; when
// both began at the same instant, the one that found the activity gone wins.
//
// No single scan deletes many activities, because an answer of Strava's may be
// wrong. Once all of a scan is stored, the plane looks for the activities that
// the scan did not find in the stretches that it read in full. It removes them
// if they are at most three, or one in fifty of those held. If they are more,
// it publishes RemovalQuestioned and keeps everything readable until gathering
// confirms that scan or a newer one is settled. Activities that the scan did
// not cover stay until their own seven days are over. An athlete is told that
// all is current only once a scan is settled.
//
// Nothing that the [Fence] does not let pass can be written: the store checks
// the fence and writes in one atomic step, so that an erasure, which sets the
// fence first and deletes afterwards, leaves nothing behind, whatever else is
// running.
//
// Totals are kept, not computed: each [Tally] changes together with the
// activities that it adds up, in the same atomic step and in whole numbers.
//
// What was not read again for seven days is unreadable from that moment on,
// because readers look at its age. The [Sweeper] deletes it within the hour, and
// the [Auditor] counts what it missed.
package activity
