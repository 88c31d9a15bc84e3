// Package api gives the HTTP API one face over all boundaries: JSON
// answers, errors as RFC 9457 problems, and the athlete's identity as the
// authorizer found it.
//
// The identity is taken from the authorizer's context and from nowhere else.
// API Gateway would refuse a call without a session by a bare 403; a problem
// that says 401 is more use to the caller, so the authorizer lets such calls
// pass with a [Refusal] and [Authenticated] answers them. It also keeps keys
// from changing anything.
package api
