// Package openapi tests the HTTP API against its document,
// web/public/openapi.json. The boundaries serve exactly the described routes,
// every response matches the document, and no request returns another athlete's
// data.
//
// The tests of the boundaries use [Document] to check their responses.
package openapi
