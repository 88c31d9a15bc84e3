// Package settings declares what the credentials functions read from their
// environment, and the names that the infrastructure shares with them.
package settings
