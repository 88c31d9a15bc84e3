// Package settings has the environment variables of the athlete plane's
// functions. Infrastructure sets them by the same structs.
package settings
