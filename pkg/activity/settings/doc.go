// Package settings has the environment variables of the activity plane's
// functions, and the names that infrastructure shares with them.
package settings
