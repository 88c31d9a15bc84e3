package strava

import (
	"time"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/provider"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpcall"
)

// Timeouts of calls, well within those of the functions that make them.
// Strava has been seen to take up to 4 s for a page of activities.
const (
	apiTimeout  = 15 * time.Second
	pushTimeout = 20 * time.Second // Strava makes the handshake while the call is open.
	// handshakeTimeout is how long Strava waits for the callback (Strava, "Webhook
	// Events API"): Strava ignores a callback that takes longer.
	handshakeTimeout = 2 * time.Second
)

// refusal returns the error that an unsuccessful response of the push
// subscriptions resource stands for.
func refusal(a httpcall.Answer) error {
	if provider.StravaMeaning(a.Status, a.Body) == provider.AppRefused {
		return credentials.ErrAppRefused
	}
	return fault.New(fault.Transient, "Strava answered with status %d", a.Status)
}
