// Package kms signs sessions with an asymmetric KMS key and verifies them with
// its public half, offline; and it seals token pairs under the dedicated
// symmetric key.
//
// A session is a JWT (RFC 7519) by ES256: sub is the athlete id, gen the
// generation of the authorization that it was opened under.
package kms
