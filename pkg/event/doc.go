// Package event has the envelope of every message on the bus. Its subpackages,
// one for each boundary and major version, have the facts.
//
// Other boundaries may import a boundary's facts (credentialsv1, gatheringv1,
// …) and nothing else of it. The constants there serve the publisher, the
// consumer's rule, and the IAM condition that limits what a boundary may
// publish.
//
// Additive changes stay in the same version. A breaking change needs a new
// package (…v2), which is published beside the old one until all consumers use
// it.
package event
