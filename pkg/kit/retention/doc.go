// Package retention holds how long Paceline keeps things. docs/adr/0014 has the
// table of all that is kept, and test/infra compares it with what is deployed.
package retention
