// Package fitbit is a stand-in for Fitbit: an [net/http.Handler] that speaks the
// parts of the Fitbit Web API that a read-only client uses.
//
// Owns: a few users, the authorizations of one application, and a rate limit for
// each user. It keeps them in memory until the process exits.
//
// Emits: nothing.
//
// Consumes: nothing of Paceline. Its sources are the Fitbit Web API reference
// (https://dev.fitbit.com/build/reference/web-api/), cited by the titles of its
// pages, and response bodies that users of public clients reported. Where neither
// describes Fitbit's behaviour, the stand-in takes the stricter choice and a
// comment says so.
//
// # In a Go test
//
//	stand := fitbit.New(fitbit.Config{Now: clock.Now})
//	defer stand.Close()
//	server := httptest.NewServer(stand)
//
// One origin serves the consent page, which Fitbit has at www.fitbit.com, and
// everything else, which Fitbit has at api.fitbit.com. The time comes from
// Config.Now, and randomness from Config.Seed. Only the delay of an injected
// fault passes in real time.
//
// # As a process
//
//	go run ./cmd/fitbit-standin --addr localhost:9091
//
// The page /control shows and changes the state. It uses the JSON routes under
// /control, which call the methods of [Server]. The authorize page shows a
// consent screen. With &as_user=GGNJL9 in its address the user consents at
// once; with &accept_scope=profile the user grants fewer scopes; with &deny=1
// the user denies.
package fitbit
