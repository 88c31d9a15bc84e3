// Package provider speaks OAuth 2.0 to the authorization servers of Strava and of
// the other providers that it describes. A provider is one file with a
// [Description]; everything else is the same for all.
//
// Nothing of what is sent or received gets into an error: bodies hold tokens,
// and Fitbit's refusals repeat the one they refuse.
package provider
