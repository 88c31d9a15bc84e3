// Package fitbit is a stand-in for Fitbit: an http.Handler that speaks the parts
// of the Fitbit Web API that a read-only client meets. It exists because a test
// and a laptop cannot reach Fitbit.
//
// Owns: a few people, the authorizations of one application, a rate limit for
// each person. It lives in memory and forgets all at exit.
//
// Emits: nothing.
//
// Consumes: nothing of Paceline. It knows the Fitbit Web API reference
// (https://dev.fitbit.com/build/reference/web-api/), cited by the titles of its
// pages, and bodies that public clients reported. Where neither says what Fitbit
// does, the stand-in takes the harsher choice and a comment says so.
//
// # In a Go test
//
//	stand := fitbit.New(fitbit.Config{Now: clock.Now})
//	defer stand.Close()
//	server := httptest.NewServer(stand)
//
// The stand-in serves the consent page, which Fitbit has at www.fitbit.com, and
// everything else, which Fitbit has at api.fitbit.com, under one origin. Time is
// Config.Now's, randomness the Seed's. Only the delay of an injected fault is
// measured in real time.
//
// # As a process
//
//	go run ./cmd/fitbit-standin --addr localhost:9091
//
// A person makes things happen on the page /control. The page uses the JSON
// routes under /control, which are a thin layer over the methods of Server. The
// authorize page shows a consent screen; adding &as_user=GGNJL9 to its address
// consents at once, &accept_scope=profile grants fewer scopes, &deny=1 refuses.
package fitbit
