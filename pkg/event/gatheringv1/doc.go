// Package gatheringv1 declares the events of the gathering boundary: readings
// of Strava, reduced to the members that Paceline keeps. None of them holds a
// coordinate, polyline or place.
//
// A reading carries read_at, the time at which its request to Strava began.
// An older reading never overwrites a newer one.
package gatheringv1
