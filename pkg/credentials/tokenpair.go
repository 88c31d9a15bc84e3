package credentials

import (
	"bytes"
	"time"

	"github.com/paceline/paceline/pkg/kit/secret"
)

// TokenPair is an account's access and refresh token.
type TokenPair struct {
	Access    secret.String
	Refresh   secret.String
	ExpiresAt time.Time
	// IssuedAt is when the pair was requested. Of two pairs of an account the one
	// issued later is the valid one.
	IssuedAt time.Time
}

// fresh reports whether the access token needs no renewal.
func (p TokenPair) fresh(now time.Time, margin time.Duration) bool {
	return p.ExpiresAt.Sub(now) > margin
}

// usable reports whether the access token outlives a call that begins now.
func (p TokenPair) usable(now time.Time) bool { return p.ExpiresAt.Sub(now) > time.Minute }

// equal reports whether both pairs have the same tokens.
func (p TokenPair) equal(other TokenPair) bool {
	return p.Refresh.Equal(other.Refresh) && p.Access.Equal(other.Access)
}

// TokenRef refers to a token pair: sealed in the grant itself or, if Sealed is
// nil, in the vault. The zero value refers to no pair.
type TokenRef struct {
	// Generation and Version name the pair in the vault.
	Generation, Version int64
	// Sealed is the pair, encrypted for storage in the grant.
	Sealed []byte
}

// exists reports whether r refers to a pair.
func (r TokenRef) exists() bool { return r.Version != 0 || r.Sealed != nil }

// equal reports whether both refer to the same pair.
func (r TokenRef) equal(other TokenRef) bool {
	return r.Generation == other.Generation && r.Version == other.Version && bytes.Equal(r.Sealed, other.Sealed)
}

// Candidate is a token pair that a grant keeps beside the valid one, because
// it may be the valid one until Strava has shown which is.
type Candidate struct {
	TokenRef
	// ReceivedAt is when Strava issued the pair, in Unix milliseconds. It becomes
	// the generation if the pair is of a connect.
	ReceivedAt int64
	// Scopes that were accepted with it; nil if they are unknown or never came into
	// force.
	Scopes []string
	// Connecting is set until the connect that received the pair is completed.
	Connecting bool
	// Owner is the athlete who links the account; zero for an athlete's own
	// account, and unless the pair is of a connect.
	Owner Authorization
}

// PendingConnect is a connect whose pair could not be written to the grant.
type PendingConnect struct {
	Account Account
	// ID distinguishes the account's connects.
	ID string
	// ReceivedAt is when Strava issued the pair, in Unix milliseconds.
	ReceivedAt int64
	Scopes     []string
	Tokens     TokenPair
	// Owner is the athlete who links the account; zero for an athlete's own.
	Owner Authorization
}

// candidate returns the connect as a candidate of the grant.
func (r PendingConnect) candidate(sealed []byte) Candidate {
	return Candidate{TokenRef: TokenRef{Sealed: sealed}, ReceivedAt: r.ReceivedAt, Scopes: r.Scopes, Connecting: true, Owner: r.Owner}
}
