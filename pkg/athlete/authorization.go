package athlete

import "errors"

// Authorization is an athlete and the generation of an authorization that they
// gave. A later one of the same athlete has a larger generation.
type Authorization struct {
	AthleteID  int64
	Generation int64
}

// Consent is what an athlete allows under the authorization of a generation.
type Consent struct {
	// Generation is the Unix time of the authorization in milliseconds.
	Generation int64
	// Scopes are the accepted ones, in Strava's spelling; nil if no event has
	// named them yet.
	Scopes []string
	// Degraded is set if Strava refuses calls for the athlete until they connect
	// again.
	Degraded bool
}

// ErrRevoked means that the authorization is over.
var ErrRevoked = errors.New("authorization revoked")

// RevokedError is [ErrRevoked] with the receipt of the erasure that followed.
type RevokedError struct {
	// Receipt is empty if it is not known.
	Receipt string
}

// Error implements error.
func (*RevokedError) Error() string { return ErrRevoked.Error() }

// Is reports whether target is [ErrRevoked].
func (*RevokedError) Is(target error) bool { return target == ErrRevoked }
