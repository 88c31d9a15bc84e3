// Package settings is what the gathering functions are told by
// their environment and the names that infrastructure shares with them.
package settings
