// Package ddb stores grants and connect states in the grants table, credentials
// (sessions and keys) in the credentials table, and the waitlist in a table of
// its own.
//
// Keys of the grants table: grant#<provider>/<id>, state#<digest>. The index
// by-provider lists grants only, because no other item has the attribute
// provider.
package ddb
