// Package admin is the command line of an administrator. It invokes a stage's
// admin functions, which IAM guards.
package admin
