package lambdain

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/httpapi"
)

// maxBody is the largest webhook body that is read. Strava's have about 300
// bytes.
const maxBody = 32 << 10

// HookRoutes serves the webhook.
func HookRoutes(h *gathering.WebhookReceiver) map[string]httpapi.Handler {
	return map[string]httpapi.Handler{
		"GET /webhooks/strava/{key}": func(ctx context.Context, req httpapi.Request) (httpapi.Response, error) {
			q := req.QueryStringParameters
			if q["hub.mode"] != "subscribe" || q["hub.challenge"] == "" {
				return httpapi.Problem(http.StatusBadRequest, "This is not the handshake of a push subscription."), nil
			}
			err := h.Handshake(ctx, req.PathParameters["key"], q["hub.verify_token"])
			if fault.Is(err, fault.Invalid) {
				return httpapi.Problem(http.StatusForbidden, "The verify token is not ours."), nil
			}
			if err != nil {
				return httpapi.Response{}, err
			}
			return httpapi.JSON(http.StatusOK, map[string]string{"hub.challenge": q["hub.challenge"]}), nil
		},
		"POST /webhooks/strava/{key}": func(ctx context.Context, req httpapi.Request) (httpapi.Response, error) {
			// A base64 body is a third longer than what it stands for.
			if len(req.Body) > maxBody*4/3+4 || (!req.IsBase64Encoded && len(req.Body) > maxBody) {
				h.Reject()
				return httpapi.Problem(http.StatusRequestEntityTooLarge, "The body is larger than 32 KiB."), nil
			}
			notice, err := decodeNotice(req)
			if err != nil {
				h.Reject()
				return httpapi.Response{}, err
			}
			if err := h.Receive(ctx, req.PathParameters["key"], notice); err != nil {
				return httpapi.Response{}, err
			}
			return httpapi.JSON(http.StatusOK, struct{}{}), nil
		},
	}
}

// decodeNotice reads a webhook's body.
func decodeNotice(req httpapi.Request) (gathering.WebhookEvent, error) {
	body := []byte(req.Body)
	if req.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return gathering.WebhookEvent{}, fault.New(fault.Invalid, "the body is not valid base64")
		}
	}
	var n gathering.WebhookEvent
	if json.Unmarshal(body, &n) != nil {
		return gathering.WebhookEvent{}, fault.New(fault.Invalid, "the body is not a webhook event")
	}
	return n, nil
}
