// Package openapi holds the HTTP API to its document, web/public/openapi.json: the
// routes of all boundaries are those described and no others, every answer is as
// described, and whatever a stranger sends, nobody sees another's data.
//
// [Document] is also for the tests of the boundaries, which check their answers
// with it.
package openapi
