// Package wiring makes the AWS adapters of the gathering boundary, as
// [gathering.Ports] takes them. Those that invoke another Lambda function are
// in the package requester, so that no other function links Lambda's client.
package wiring
