// Package eventtest is a bus in memory, for tests and simulations.
package eventtest
