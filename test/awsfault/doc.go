// Package awsfault is a reverse proxy that stands before an AWS endpoint, such
// as the emulator's, and makes chosen calls fail: it refuses, delays or swallows
// them, or loses their answers, as a service in trouble does.
//
// A test adds a [Rule] for the calls that are to meet a [Fault], releases it
// when the trouble is over, and reads from [Proxy.Counts] how many calls met it.
// The proxy passes the Host header on unchanged, so the signature of a request
// that was signed for the proxy's address stays valid behind it.
package awsfault
