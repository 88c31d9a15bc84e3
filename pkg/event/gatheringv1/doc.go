// Package gatheringv1 is what the gathering boundary announces: readings of
// Strava, reduced to what Paceline keeps. There is no coordinate, polyline or
// place in any of them.
//
// A reading carries read_at, the time at which its request to Strava began.
// An older reading never overwrites a newer one.
package gatheringv1
