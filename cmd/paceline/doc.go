// Command paceline is the one command line of Paceline: "local" runs the whole
// system on this machine, "admin" speaks to the admin function of a stage.
//
// Owns: the command tree and the process's signals. It emits and consumes
// nothing itself.
package main
