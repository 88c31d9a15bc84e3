package gathering

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// WebhookEvent is what Strava pushes (Strava, "Webhook Events API").
type WebhookEvent struct {
	ObjectType     string `json:"object_type"`
	ObjectID       int64  `json:"object_id"`
	AspectType     string `json:"aspect_type"`
	OwnerID        int64  `json:"owner_id"`
	SubscriptionID int64  `json:"subscription_id"`
	// EventTime is in Unix seconds; 0 when the event has none.
	EventTime int64 `json:"event_time"`
	// Updates holds strings by the documentation; booleans have been seen.
	Updates map[string]any `json:"updates"`
}

// digest identifies an event, since events have no id. It covers all fields. A
// value and its text, such as true and "true", have the same digest.
//
// Strava's retries of one delivery must have the same digest. Two events with
// the same content must not, or the second would be lost; their time makes the
// difference. An event without a time gets the hour of receipt: retries in two
// different hours then count as two events, which does no harm.
func (e WebhookEvent) digest(receivedAt time.Time) string {
	if e.EventTime == 0 {
		e.EventTime = receivedAt.Truncate(time.Hour).Unix()
	}
	updates := map[string]any{}
	for name, value := range e.Updates {
		updates[name] = fmt.Sprint(value)
	}
	e.Updates = updates
	b, err := json.Marshal(e) // In the order of the fields, and of the map's keys.
	if err != nil {
		panic(err) // Numbers and text can always be encoded.
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// hint returns the hint that the event gives; false if it needs no action.
func (e WebhookEvent) hint(receivedAt time.Time) (Hint, bool) {
	h := Hint{EventTime: e.EventTime, ReceivedAt: receivedAt.UTC()}
	if h.EventTime == 0 {
		h.EventTime = receivedAt.Unix()
	}
	switch {
	case e.ObjectType == "activity" && (e.AspectType == AspectCreate || e.AspectType == AspectUpdate || e.AspectType == AspectDelete):
		h.Aspect, h.ActivityID = e.AspectType, e.ObjectID
		return h, true
	case e.ObjectType == "athlete" && e.deauthorizes():
		h.Aspect = AspectDeauthorize
		return h, true
	}
	return Hint{}, false
}

// deauthorizes reports whether the event says that the athlete withdrew access.
// Strava sends the text "false"; a boolean is accepted, too.
func (e WebhookEvent) deauthorizes() bool {
	authorized, ok := e.Updates["authorized"]
	return ok && strings.EqualFold(strings.TrimSpace(fmt.Sprint(authorized)), "false")
}
