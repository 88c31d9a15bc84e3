package lambdain

import (
	"context"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/boot"
)

// ProbeRequest is what probe-webhook is invoked with. The schedule sends other
// members, which say nothing here.
type ProbeRequest struct {
	// AskStrava asks Strava for the subscription now, however recently that was
	// done: for a person who waits for the answer.
	AskStrava bool `json:"ask_strava"`
}

// ProbeWebhook serves probe-webhook.
func ProbeWebhook(p *gathering.Probe) func(context.Context, ProbeRequest) (struct{}, error) {
	return func(ctx context.Context, req ProbeRequest) (struct{}, error) {
		ctx, cancel := boot.WithReserve(ctx)
		defer cancel()
		return struct{}{}, p.Run(ctx, req.AskStrava)
	}
}
