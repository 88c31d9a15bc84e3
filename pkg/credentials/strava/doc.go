// Package strava speaks to Strava's REST API and its push subscriptions
// resource on behalf of the credentials boundary. Its authorization server is
// one of package provider's.
//
// Errors contain nothing that was sent or received: URLs of push subscriptions
// hold the client secret, and bodies hold tokens.
package strava
