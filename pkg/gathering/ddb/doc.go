// Package ddb stores the gathering boundary's state.
//
// Keys: athlete#<id>, and the singletons pause and webhook.
package ddb
