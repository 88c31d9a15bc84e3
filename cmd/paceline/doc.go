// Command paceline is the command line of Paceline: "local" runs the whole
// system on this machine, "admin" administers a stage.
package main
