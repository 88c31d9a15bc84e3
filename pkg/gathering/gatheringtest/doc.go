// Package gatheringtest holds the gathering boundary's ports in memory, for
// tests and simulations, and the conformance suite that every adapter of the
// gathering table must pass.
package gatheringtest
