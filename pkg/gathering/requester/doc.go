// Package requester invokes the exported functions of the credentials boundary:
// forward-request, the requester, which makes the calls to Strava, and
// check-subscription.
package requester
