// Package e2e tests the system as it is deployed, from outside: through the
// HTTP API, a real browser, and the calls that reach Strava. In TestSystem all
// is well, in TestGreyFailures Strava fails. Each has all stacks on a local
// cloud of its own, and both run at the same time.
//
// It needs the tools that `make test` installs and so is kept out of
// `go test ./...` by go.mod.
//
// Two numbers can be set in the environment: PACELINE_E2E_HISTORY, how many
// activities a leaving athlete has, and PACELINE_E2E_FUZZ, how many malformed
// calls are made. `make prove` has 20,000 and 10,000.
package e2e
