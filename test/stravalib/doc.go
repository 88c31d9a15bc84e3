// Package stravalib holds the stand-in for Strava (test/strava) to the truth by
// a client that others wrote against the real Strava: stravalib, from the Python
// Package Index, pinned in requirements.txt. client.py connects an athlete,
// reads, refreshes, is refused, subscribes and leaves.
//
// It needs the project's Python environment, which `make test` installs, so
// go.mod keeps it out of ./... .
package stravalib
