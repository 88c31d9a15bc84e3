// Package credentialsv1 has the events that credentials publishes.
//
// Every fact about an athlete carries the generation of the authorization it
// belongs to: the Unix time in milliseconds at which the athlete authorized. A
// later authorization of the same athlete always has a larger generation, so a
// consumer can distinguish a late fact of an ended authorization from one of
// the present one.
package credentialsv1
