// Package strava is a stand-in for Strava: an [net/http.Handler] that speaks the
// parts of Strava's API v3 that a read-only client uses, as they are in 2026.
// Tests, simulations and developers use it where they cannot call Strava.
//
// Owns: athletes and their activities (recorded, or generated from a seed), the
// grants of one application, its rate limits, its push subscription and the
// delivery of webhook events. It keeps them in memory until the process exits.
//
// Emits: webhook events to the subscription's callback URL.
//
// Consumes: nothing of Paceline. Its sources are Strava's documentation
// (Authentication, Webhooks, Rate Limits, API Reference and Changelog) and
// recorded responses. Where neither describes Strava's behaviour, the stand-in
// takes the stricter choice and a comment says so. Settings.Lenient takes the
// milder choice where Strava was seen to. test/stravalib checks both with a
// client written for the real Strava.
//
// # In a Go test
//
//	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
//	stand := strava.New(strava.Config{Clock: clock, Athletes: strava.Generate(1, 5, clock.Now())})
//	defer stand.Close()
//	server := httptest.NewServer(stand)        // or, without sockets:
//	client := &http.Client{Transport: standin.InProcess(stand)}
//
// The time comes from Config.Clock, and randomness from Config.Seed. Only two
// durations pass in real time, because they limit real connections: the two
// seconds in which a callback must respond, and the delay of an injected fault.
//
// # As a process
//
//	go run ./cmd/strava-standin --addr localhost:9090
//
// prints one line of JSON with the base URLs and serves until SIGINT or SIGTERM.
// The page /control shows and changes the state, and so does
//
//	go run ./cmd/strava-standin ctl --url http://localhost:9090 new-activity --athlete 80000001 name="Evening Ride"
//
// Both use the JSON routes under /control, which call the methods of [Server].
// The authorize page shows a consent screen. With &as_athlete=ID in its address
// the athlete consents at once; with &accept_scope=read,activity:read the
// athlete grants fewer scopes; with &deny=1 the athlete denies.
//
// # Synthetic positions
//
// Every generated polyline begins with SyntheticPolyline. Every generated
// coordinate has a latitude of -0.7xxxxx and a longitude of -30.5xxxxx, which is
// in the open sea. A test can therefore search logs and tables for leaked
// positions.
package strava
