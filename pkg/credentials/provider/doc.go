// Package provider speaks OAuth 2.0 to the authorization servers of Strava and
// of the other providers that it describes. A provider is one file with a
// [Description]; everything else is the same for all.
//
// Errors contain nothing that was sent or received: bodies hold tokens, and
// Fitbit's refusals repeat the token that they refuse.
package provider
