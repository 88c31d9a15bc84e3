// Package event holds the envelope that every message on the bus travels in,
// and, in one sub-package a boundary and major version, the facts themselves.
//
// A boundary's package (credentialsv1, gatheringv1, …) is the only thing its
// neighbours may know of it. Its constants serve the publisher, the rule that
// subscribes, and the IAM condition that pins who may publish what.
//
// Additive changes stay in the same version. A breaking change is a new
// package (…v2), published beside the old one until every consumer has moved.
package event
