// Package wiring makes the ports of the credentials boundary over AWS, Strava
// and Fitbit, with a function for each group of Lambda functions that use the
// same ports. Package sessionwiring does the same for functions that need no
// token.
package wiring
