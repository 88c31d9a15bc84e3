// Package ddb stores grants, connect states and erasures in the grants table,
// and the waiting list in one of its own.
//
// Keys: grant#<provider>/<id>, state#<digest>, erasure#<receipt>. The index
// by-provider lists grants only: nothing else has a provider.
package ddb
