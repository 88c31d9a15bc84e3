package credentials

import (
	"context"
	"errors"

	"github.com/paceline/paceline/pkg/kit/fault"
)

// Errors of a connect that the athlete can do something about.
var (
	// ErrAccessDenied: the athlete refused.
	ErrAccessDenied = errors.New("access denied by the athlete")
	// ErrMissingScope: the athlete accepted too little to gather activities.
	ErrMissingScope = errors.New("no activity scope was accepted")
	// ErrState: the callback does not belong to a connect of this browser, is too
	// late, or was sent before.
	ErrState = errors.New("the state is unknown, used, expired or another browser's")
	// ErrAppFull: the application has as many athletes as Strava allows.
	ErrAppFull = errors.New("the application is at its athlete capacity")
	// ErrProviderUnavailable: the provider gave no response, or an unusable one.
	ErrProviderUnavailable = errors.New("the provider is unavailable")
)

// Errors that a provider's responses stand for.
var (
	// ErrTokenRefused: the refresh token is not valid. It was revoked, or another
	// process has exchanged it for a newer one.
	ErrTokenRefused = errors.New("refresh token refused")
	// ErrCodeRefused: the authorization code is wrong, used or too old.
	ErrCodeRefused = errors.New("authorization code refused")
	// ErrAnswerLost: the provider may have done what was requested, but its
	// response did not arrive or cannot be read. It is a transient fault.
	ErrAnswerLost = errors.New("the response was lost")
	// ErrAppRefused: the application's own credentials are refused, or it has lost
	// access. It is not the fault of an athlete.
	ErrAppRefused = errors.New("application refused")
	// ErrAccessTokenInvalid: the access token has expired or was revoked.
	ErrAccessTokenInvalid = errors.New("access token invalid")
	// ErrInsufficientScope: the athlete did not allow what the call asks for.
	ErrInsufficientScope = errors.New("insufficient scope")
)

// Reasons why a call cannot be made for an athlete.
var (
	// ErrRevoked: there is no such authorization, or it has ended.
	ErrRevoked = errors.New("authorization revoked")
	// ErrOtherAccountLinked: the athlete has linked another account of the
	// provider.
	ErrOtherAccountLinked = errors.New("another account of the provider is linked")
	// ErrDegraded: the athlete has to connect again.
	ErrDegraded = errors.New("authorization degraded")
)

// RevokedError is [ErrRevoked] for a session or key, with the receipt of the
// erasure that followed.
type RevokedError struct {
	// Receipt is empty if no erasure followed, as for a key that the athlete
	// revoked.
	Receipt string
}

// Error implements error.
func (*RevokedError) Error() string { return "the credential was revoked" }

// Is reports whether target is [ErrRevoked].
func (*RevokedError) Is(target error) bool { return target == ErrRevoked }

// unavailable marks a transient fault of the ports [OAuth] and [API] with
// [ErrProviderUnavailable]. It leaves the error unmarked if the context has
// ended, because the provider then had too little time.
func unavailable(ctx context.Context, err error) error {
	if !fault.Is(err, fault.Transient) || ctx.Err() != nil {
		return err
	}
	return fault.New(fault.Transient, "%w: %w", ErrProviderUnavailable, err)
}
