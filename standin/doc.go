// Package standin holds what the stand-ins for providers have in common: a clock
// that a test moves, a transport without sockets, faults, counters, the consent
// and control pages, and the program that serves a stand-in.
//
// A stand-in is an [net/http.Handler] that responds as a provider's API does. The
// packages below this one are stand-ins: strava and fitbit.
package standin
