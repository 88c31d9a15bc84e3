// Package credentialstest provides the credentials boundary's ports in memory,
// for tests and simulations, and the conformance suites that every adapter of
// these ports must pass.
package credentialstest
