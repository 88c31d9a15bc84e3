package handler

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// maxBody is the largest webhook body that is read, in bytes, packed or not.
// Strava's have about 300.
const maxBody = 32 << 10

var errTooLarge = errors.New("the body is larger than 32 KiB")

// WebhookRoutes serves the webhook.
func WebhookRoutes(h *gathering.WebhookReceiver) map[string]api.Handler {
	return map[string]api.Handler{
		"GET /webhooks/strava/{key}": func(ctx context.Context, req api.Request) (api.Response, error) {
			q := req.QueryStringParameters
			if q["hub.mode"] != "subscribe" || q["hub.challenge"] == "" {
				return api.Problem(http.StatusBadRequest, "This is not the handshake of a push subscription."), nil
			}
			err := h.Handshake(ctx, req.PathParameters["key"], q["hub.verify_token"])
			if fault.Is(err, fault.Invalid) {
				return api.Problem(http.StatusForbidden, "The verify token is not ours."), nil
			}
			if err != nil {
				return api.Response{}, err
			}
			return api.JSON(http.StatusOK, map[string]string{"hub.challenge": q["hub.challenge"]}), nil
		},
		"POST /webhooks/strava/{key}": func(ctx context.Context, req api.Request) (api.Response, error) {
			event, err := decodeEvent(req)
			if errors.Is(err, errTooLarge) {
				h.Reject()
				return api.Problem(http.StatusRequestEntityTooLarge, "The body is larger than 32 KiB."), nil
			}
			if err != nil {
				h.Reject()
				return api.Response{}, err
			}
			if err := h.Receive(ctx, req.PathParameters["key"], event); err != nil {
				return api.Response{}, err
			}
			return api.JSON(http.StatusOK, struct{}{}), nil
		},
	}
}

// decodeEvent reads a webhook's body. A lost event is worse than a strange one,
// so it accepts every form of a member whose meaning is clear. Unreadable
// members stay zero, and the receiver refuses the event if it needs them.
func decodeEvent(req api.Request) (gathering.WebhookEvent, error) {
	body, err := plainBody(req)
	if err != nil {
		return gathering.WebhookEvent{}, err
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return gathering.WebhookEvent{}, fault.New(fault.Invalid, "the body is not a JSON object")
	}
	return gathering.WebhookEvent{
		ObjectType:     text(members["object_type"]),
		ObjectID:       wholeNumber(members["object_id"]),
		AspectType:     text(members["aspect_type"]),
		OwnerID:        wholeNumber(members["owner_id"]),
		SubscriptionID: wholeNumber(members["subscription_id"]),
		EventTime:      seconds(members["event_time"]),
		Updates:        object(members["updates"]),
	}, nil
}

// plainBody returns the body without API Gateway's base64, gzip, and a byte
// order mark.
func plainBody(req api.Request) ([]byte, error) {
	body := []byte(req.Body)
	if req.IsBase64Encoded { // API Gateway does so with bodies that are not text.
		if base64.StdEncoding.DecodedLen(len(body)) > maxBody+2 {
			return nil, errTooLarge
		}
		var err error
		if body, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return nil, fault.New(fault.Invalid, "the body is not valid base64")
		}
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	// Go by the first bytes (RFC 1952, 2.3.1), not by the Content-Encoding: a
	// proxy may have unpacked the body or dropped the header.
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		packed, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(io.LimitReader(packed, maxBody+1))
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "the body is not valid gzip")
		}
		if len(body) > maxBody {
			return nil, errTooLarge
		}
	}
	return bytes.TrimPrefix(body, []byte("\ufeff")), nil
}

// text returns a string member; "" for any other.
func text(member json.RawMessage) string {
	var s string
	_ = json.Unmarshal(member, &s)
	return strings.TrimSpace(s)
}

// number returns a member that is a number, or text that holds one, as it is
// written.
func number(member json.RawMessage) string {
	if s := text(member); s != "" {
		return s
	}
	return string(member)
}

// wholeNumber returns a positive whole number, written as 7001, 7001.0 or
// "7001"; 0 for any other member.
func wholeNumber(member json.RawMessage) int64 {
	s := number(member)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return max(0, n)
	}
	// Above 2^53 a float may stand for several whole numbers.
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || f < 0 || f > 1<<53 {
		return 0
	}
	return int64(f)
}

// seconds returns a time in Unix seconds, without fractions; 0 for none.
func seconds(member json.RawMessage) int64 {
	if f, err := strconv.ParseFloat(number(member), 64); err == nil && f > 0 && f < 1<<53 {
		return int64(f)
	}
	return 0
}

// object returns a member that is an object, or text that holds one; empty for
// any other.
func object(member json.RawMessage) map[string]any {
	var members map[string]any
	if json.Unmarshal(member, &members) != nil {
		_ = json.Unmarshal([]byte(text(member)), &members)
	}
	return members
}
