// Package activity is the activity plane. It stores the activities of each
// athlete as Strava last showed them, with their totals, deletes what it may no
// longer keep, and answers the athlete's queries.
//
// Owns: the activities, the monthly totals, the progress of the scan of each
// athlete's history, and a guard for each athlete.
//
// Publishes: activityv1.RemovalQuestioned, activityv1.ErasureCompleted.
//
// Consumes: gatheringv1.ActivitiesGathered, gatheringv1.ActivityGone,
// gatheringv1.ScanProgressed, credentialsv1.AthleteAuthorized,
// credentialsv1.AuthorizationDegraded, credentialsv1.AuthorizationRevoked.
//
// Events arrive more than once and in any order. So everything stored is a
// maximum: of an activity the newest reading, of a scan the newest report, of
// each part of a guard the latest value. A reading is newer than another one
// if its authorization is newer or, under the same authorization, if its
// request began later. If two requests began in the same millisecond, the
// reading that found the activity missing wins.
//
// A single scan never deletes many activities, because an answer of Strava's
// may be wrong. Once every chunk of a scan is stored, the plane looks for the
// activities that the scan did not find in the ranges that it read in full. It
// removes them if they are at most three, or one in fifty of those stored. If
// there are more, it publishes RemovalQuestioned and keeps all of them readable
// until gathering confirms that scan or a newer one is reconciled. Activities
// outside the covered ranges stay until their own seven days are over. The
// progress that an athlete sees becomes [Current] only when a scan is
// reconciled.
//
// The store checks the [Guard] and writes in one atomic step. An erasure
// changes the guard first and deletes afterwards, so that it leaves nothing
// behind whatever runs at the same time.
//
// Totals are stored: [MonthlyTotals] change in the same atomic step as the
// activities that they add up, and in whole numbers.
//
// An activity that was not read again for seven days is unreadable from that
// moment on, because readers check its age. The [Sweeper] deletes it within the
// hour, and the [Auditor] counts what the sweeper missed.
package activity
