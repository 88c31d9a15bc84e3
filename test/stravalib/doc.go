// Package stravalib tests the stand-in for Strava (standin/strava) with a client
// that others wrote for the real Strava: stravalib, from the Python Package
// Index, pinned in requirements.txt. client.py connects an athlete, reads,
// refreshes, is refused, subscribes and leaves.
//
// It needs the project's Python environment, which `make test` installs, so
// go.mod keeps it out of ./... .
package stravalib
