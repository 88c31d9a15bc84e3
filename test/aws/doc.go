// Package aws runs the adapters that speak to AWS against a real AWS API:
// a ministack of its own on a free port, started before the first test and
// ended after the last.
//
// Tests of failing calls put the proxy of test/awsfault between the clients and
// ministack.
//
// A test makes the resources it needs by the helpers in main_test.go; the
// clients come from the default configuration as in the functions, the
// endpoint from AWS_ENDPOINT_URL.
package aws
