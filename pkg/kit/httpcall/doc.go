// Package httpcall calls other people's HTTP services: bounded in time and
// size, following no redirect, and with nothing of what is sent or received in
// an error.
package httpcall
