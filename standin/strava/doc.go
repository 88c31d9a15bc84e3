// Package strava is a stand-in for Strava: an http.Handler that speaks the
// parts of Strava's API v3 that a read-only client meets, as they are in 2026.
// It exists because a test, a simulation and a laptop cannot reach Strava.
//
// Owns: athletes and their activities (recorded or generated from a seed), the
// grants of one application, its rate limits, its push subscription and the
// delivery of webhook events. It lives in memory and forgets all at exit.
//
// Emits: webhook events to the subscription's callback URL.
//
// Consumes: nothing of Paceline. It knows Strava's documentation (Authentication,
// Webhooks, Rate Limits, API Reference and Changelog) and recorded responses.
// Where neither says what Strava does, the stand-in takes the harsher choice
// and a comment says so; Settings.Lenient takes the milder one where Strava is
// known to. test/stravalib checks both against a client that others wrote.
//
// # In a Go test
//
//	clock := standin.NewManualClock(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
//	stand := strava.New(strava.Config{Clock: clock, Athletes: strava.Generate(1, 5, clock.Now())})
//	defer stand.Close()
//	server := httptest.NewServer(stand)        // or, without sockets:
//	client := &http.Client{Transport: standin.InProcess(stand)}
//
// Time is the injected Clock's, randomness the Seed's. Only two things are
// measured in real time, because they guard real connections: the two seconds
// a callback has to answer, and the delay of an injected fault.
//
// # As a process
//
//	go run ./cmd/strava-standin --addr localhost:9090
//
// prints one line of JSON with the base URLs and serves until SIGINT or SIGTERM.
// A person makes things happen on the page /control or with
//
//	go run ./cmd/strava-standin ctl --url http://localhost:9090 new-activity --athlete 80000001 name="Evening Ride"
//
// Both use the JSON routes under /control, which are a thin layer over the
// methods of Server. The authorize page shows a consent screen; adding
// &as_athlete=ID to its address consents at once, &accept_scope=read,activity:read
// grants fewer scopes, &deny=1 refuses.
//
// # Made-up places
//
// Every generated polyline begins with SyntheticPolyline, and every generated
// coordinate has a latitude of -0.7xxxxx and a longitude of -30.5xxxxx (open
// sea), so that a test can search logs and tables for leaked positions.
package strava
