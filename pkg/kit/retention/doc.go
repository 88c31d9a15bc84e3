// Package retention says how long Paceline keeps data. docs/adr/0014 has a
// table of everything that is kept, which test/infra compares with the deployed
// stacks.
package retention
