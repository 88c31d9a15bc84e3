// Package strava speaks to Strava's authorization server, its REST API and its
// push subscriptions resource on behalf of the credentials boundary.
//
// Nothing of what it sends or receives gets into an error: URLs of push
// subscriptions hold the client secret, and bodies hold tokens.
package strava
