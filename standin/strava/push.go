package strava

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxCallbackURL is the longest callback URL in bytes (Strava, Webhooks).
const maxCallbackURL = 255

// Subscription is the application's push subscription. An application has at most
// one.
type Subscription struct {
	ID            int64     `json:"id"`
	ResourceState int       `json:"resource_state"`
	ApplicationID int64     `json:"application_id"`
	CallbackURL   string    `json:"callback_url"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

func (s *Server) routePush() {
	e := endpoint{
		name:     EndpointPush,
		identify: func(c *call) { c.params = readParams(c.Request, true) },
		meter:    s.meterPush,
	}
	push := func(serve func(*call) response, pattern string) {
		e.serve = s.ofApplication(func(c *call) response {
			if res, ok := s.checkClient(c.params); !ok {
				return res
			}
			return serve(c)
		})
		s.route(e, pattern)
	}
	push(s.createSubscription, "POST /api/v3/push_subscriptions")
	push(s.viewSubscriptions, "GET /api/v3/push_subscriptions")
	push(s.deleteSubscription, "DELETE /api/v3/push_subscriptions/{id}")
}

// Subscription returns the push subscription, or nil if there is none.
func (s *Server) Subscription() *Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscription
}

func (s *Server) viewSubscriptions(*call) response {
	list := []*Subscription{}
	if sub := s.Subscription(); sub != nil {
		list = append(list, sub)
	}
	return jsonResponse(http.StatusOK, list)
}

// createSubscription validates the callback before it responds.
func (s *Server) createSubscription(c *call) response {
	callback, verify := c.params.Get("callback_url"), c.params.Get("verify_token")
	u, err := url.Parse(callback)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(callback) > maxCallbackURL {
		return badRequest("PushSubscription", "callback url", "invalid")
	}
	s.mu.Lock()
	if s.subscription != nil || s.subscribing {
		s.mu.Unlock()
		return badRequest("PushSubscription", "", "already exists")
	}
	s.subscribing = true
	if verify != "" {
		s.verifyTokens = append(s.verifyTokens, verify)
	}
	challenge := s.newSecret()[:16]
	s.mu.Unlock()

	refused := s.handshake(c.Context(), *u, challenge, verify)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribing = false
	if refused != nil {
		return badRequest("PushSubscription", "callback url", refused.Error())
	}
	now := s.clock.Now().UTC()
	s.subscription = &Subscription{s.nextID(), 2, s.appID, callback, now, now}
	return jsonResponse(http.StatusCreated, s.subscription)
}

// The codes of a failed handshake, as recorded.
var (
	errNot200        = errors.New("GET to callback URL does not return 200")
	errNotVerifiable = errors.New("not verifiable")
)

// handshake verifies that the callback echoes the challenge (Strava, Webhooks).
func (s *Server) handshake(ctx context.Context, callback url.URL, challenge, verify string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	q := callback.Query()
	q.Set("hub.mode", "subscribe")
	q.Set("hub.challenge", challenge)
	q.Set("hub.verify_token", verify)
	callback.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, callback.String(), nil)
	if err != nil {
		return errNotVerifiable
	}
	res, err := s.client.Do(r)
	if err != nil {
		return errNot200
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errNot200
	}
	var echo map[string]any
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	err = json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&echo)
	if err != nil || mediaType != "application/json" || echo["hub.challenge"] != challenge {
		return errNotVerifiable
	}
	return nil
}

func (s *Server) deleteSubscription(c *call) response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subscription == nil || c.PathValue("id") != strconv.FormatInt(s.subscription.ID, 10) {
		return refuse(http.StatusNotFound, "Record Not Found", fieldError{"PushSubscription", "id", "invalid"})
	}
	s.subscription = nil
	return response{Status: http.StatusNoContent}
}
