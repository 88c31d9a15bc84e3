// Package ddb stores grants, connect states and erasures in the grants table.
//
// Keys: grant#<athlete id>, state#<digest>, erasure#<receipt>. The index
// by-provider lists grants only: nothing else has a provider.
package ddb
