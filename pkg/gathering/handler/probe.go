package handler

import (
	"context"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// ProbeRequest is the input of probe-webhook. The schedule sends other members,
// which are ignored.
type ProbeRequest struct {
	// AskStrava makes the probe ask Strava for the subscription now, however
	// recently a probe asked. It is for an admin who waits for the answer.
	AskStrava bool `json:"ask_strava"`
}

// ProbeWebhook serves probe-webhook.
func ProbeWebhook(p *gathering.Probe) func(context.Context, ProbeRequest) (struct{}, error) {
	return func(ctx context.Context, req ProbeRequest) (struct{}, error) {
		ctx, cancel := startup.WithMargin(ctx)
		defer cancel()
		return struct{}{}, p.Run(ctx, req.AskStrava)
	}
}
