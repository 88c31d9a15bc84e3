// Package lambdain turns what AWS invokes the gathering functions with into the
// boundary's use cases, and their results into what AWS expects.
package lambdain
