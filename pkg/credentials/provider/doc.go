// Package provider speaks OAuth 2.0 to those who hold people's accounts: to
// Strava, and to whoever else is described here. A provider is one file with a
// [Description]; everything else is the same for all.
//
// Nothing of what is sent or received gets into an error: bodies hold tokens,
// and Fitbit's refusals repeat the one they refuse.
package provider
