// Package api holds what the handlers of the HTTP API have in common in all
// boundaries: JSON responses, errors as RFC 9457 problems, and the identity of
// the caller.
//
// The identity comes from the authorizer's context and from nowhere else. If
// the authorizer denied a call without a session, API Gateway would answer with
// a bare 403. So the authorizer lets such a call pass with a [Refusal], and
// [Authenticated] answers with a problem of status 401. Authenticated also
// rejects a call with a key that would change something.
package api
