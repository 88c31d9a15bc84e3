// Package admin is the command line of an administrator: it calls a stage's
// admin function by IAM.
package admin
