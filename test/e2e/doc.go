// Package e2e tests the system as it is deployed: all stacks on a local cloud of
// their own, from outside, through the HTTP API and a real browser.
//
// It needs the tools that `make test` installs and so is kept out of
// `go test ./...` by go.mod.
package e2e
