// Package stravalib tests the stand-in for Strava, package standin/strava, with
// stravalib, a client that was written for the real Strava. requirements.txt pins
// it. client.py connects an athlete, reads, refreshes, is refused, subscribes and
// leaves.
//
// The test needs the project's Python environment, which `make test` installs.
// go.mod therefore excludes it from ./... .
package stravalib
