// Package arch tests who may import whom, by what `go list` says of every
// package: boundaries do not know each other, domains know no technology, and
// nothing that runs in Lambda carries the CDK along. It also sees to it that
// every package says what it is for.
package arch
