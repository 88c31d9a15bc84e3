// Package e2e tests the system as it is deployed: all stacks on a local cloud of
// their own, from outside, through the HTTP API and a real browser.
//
// It needs the tools that `make test` installs and so is kept out of
// `go test ./...` by go.mod.
//
// Two numbers can be set in the environment: PACELINE_E2E_HISTORY, how many
// activities somebody has who leaves, and PACELINE_E2E_FUZZ, how many malformed
// calls are made. `make prove` has 20,000 and 10,000.
package e2e
