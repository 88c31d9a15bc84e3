// Package settings is what the athlete plane's functions are told by
// their environment and the names that infrastructure shares with them.
package settings
