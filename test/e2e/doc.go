// Package e2e tests the deployed system from outside: through the HTTP API, a
// browser, and the calls that reach Strava. TestSystem tests normal operation,
// TestGreyFailures partial failures of Strava, TestLinks linked accounts, and
// TestStage the life of a stage. Each test deploys all stacks to its own local
// cloud. The tests run in parallel.
//
// The package needs the tools that `make test` installs, so go.mod excludes it
// from `go test ./...`.
//
// Two environment variables set the size of the tests: PACELINE_E2E_HISTORY is
// the number of activities of a leaving athlete, PACELINE_E2E_FUZZ the number of
// malformed calls. `make prove` sets 20,000 and 10,000.
package e2e
