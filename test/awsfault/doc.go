// Package awsfault is a reverse proxy in front of an AWS endpoint, such as the
// emulator's, that makes selected calls fail as in a partial outage. It refuses,
// delays or swallows calls, or loses their responses.
//
// A test adds a [Rule], which selects calls and gives them a [Fault], and
// releases it to end the fault. [Proxy.Counts] returns how many calls had each
// fault. The proxy does not change the Host header, so a request that is signed
// for the proxy's address stays valid at the endpoint.
package awsfault
