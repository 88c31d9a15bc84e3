package strava

import (
	"fmt"
	"time"
)

// Rotation selects whether a refresh replaces the refresh token. Strava documents
// only that it may. If it does, the old refresh token is invalid at once.
type Rotation string

// The rotation modes.
const (
	RotateAlways Rotation = "always"
	RotateNever  Rotation = "never"
	RotateRandom Rotation = "random"
)

// DeliveryMode selects what happens to a webhook event.
type DeliveryMode string

// The delivery modes.
const (
	DeliverNow  DeliveryMode = "send" // after Settings.DeliveryDelay
	DeliverHold DeliveryMode = "hold" // kept until [Server.Release]
	DeliverDrop DeliveryMode = "drop" // never sent, as in an outage
)

// Order is the order in which held events are released.
type Order string

// The orders of release.
const (
	Forward Order = "forward"
	Reverse Order = "reverse"
	Shuffle Order = "shuffle"
)

// Limit is a rate limit or a usage: requests in the quarter hour and in the day.
type Limit [2]int

// String returns l as the rate headers have it: "100,1000".
func (l Limit) String() string { return fmt.Sprintf("%d,%d", l[0], l[1]) }

// Duration is a time.Duration that is written as text ("15s", "2m0s") in JSON.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Settings can change while the stand-in runs. A zero value in Config.Settings
// means the default that the field's comment names.
type Settings struct {
	// Rotation of refresh tokens; default RotateAlways.
	Rotation Rotation `json:"rotation"`
	// Capacity is the number of athletes that may be connected; default 9,999.
	Capacity int `json:"capacity"`
	// CapacityAtAuthorize refuses an athlete beyond the capacity on the authorize
	// page, so that the client gets no redirect. Otherwise the token exchange
	// refuses. Strava was seen to do both.
	CapacityAtAuthorize bool `json:"capacity_at_authorize"`
	// Inactive makes every call fail, as after the owner's subscription ends.
	Inactive bool `json:"inactive"`
	// SilentRevoke omits the deauthorization event when the application itself
	// revokes.
	SilentRevoke bool `json:"silent_revoke"`
	// Lenient accepts calls that Strava accepts and the stand-in refuses by
	// default:
	//   - GET /activities/{id} of another athlete's activity that everyone may see
	//     returns 200 with that athlete's id instead of 404.
	//   - An authorization code is valid for an hour.
	//   - An access token may be the query parameter access_token, which Strava
	//     accepts until 2027-06-01.
	Lenient bool `json:"lenient"`
	// CodeLife is how long an authorization code is valid; default 5 minutes, or
	// an hour when Lenient. Strava documents only that it is short-lived.
	CodeLife Duration `json:"code_life"`
	// ReadLimit is for requests that are no uploads; default 100,1000.
	ReadLimit Limit `json:"read_limit"`
	// OverallLimit is for all requests; default 200,2000.
	OverallLimit Limit `json:"overall_limit"`
	// Delivery of webhook events; default DeliverNow.
	Delivery DeliveryMode `json:"delivery"`
	// DeliveryCopies is how many times each event is delivered; default 1.
	DeliveryCopies int `json:"delivery_copies"`
	// DeliveryDelay passes before the first attempt; default 0.
	DeliveryDelay Duration `json:"delivery_delay"`
	// RetryInterval passes between attempts; default 2 minutes, as Strava was
	// seen to wait.
	RetryInterval Duration `json:"retry_interval"`
}

// WithDefaults returns s with each zero value replaced by its default.
func (s Settings) WithDefaults() Settings {
	setDefault(&s.Rotation, RotateAlways)
	setDefault(&s.Capacity, 9_999)
	setDefault(&s.ReadLimit, Limit{100, 1_000})
	setDefault(&s.OverallLimit, Limit{200, 2_000})
	setDefault(&s.Delivery, DeliverNow)
	setDefault(&s.DeliveryCopies, 1)
	setDefault(&s.RetryInterval, Duration(2*time.Minute))
	return s
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate returns [ErrInvalid] if a setting has a value that is not allowed.
func (s Settings) Validate() error {
	switch s.Rotation {
	case RotateAlways, RotateNever, RotateRandom:
	default:
		return fmt.Errorf("rotation %q: %w", s.Rotation, ErrInvalid)
	}
	switch s.Delivery {
	case DeliverNow, DeliverHold, DeliverDrop:
	default:
		return fmt.Errorf("delivery %q: %w", s.Delivery, ErrInvalid)
	}
	if s.Capacity < 0 || s.CodeLife < 0 || s.DeliveryCopies < 1 || s.DeliveryDelay < 0 || s.RetryInterval < 0 {
		return fmt.Errorf("capacity, code life, delay or interval is negative, or copies is negative or zero: %w", ErrInvalid)
	}
	return nil
}

// Settings returns the current settings.
func (s *Server) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

// UpdateSettings changes the settings by calling change. It returns [ErrInvalid],
// and changes nothing, if the result is not valid.
func (s *Server) UpdateSettings(change func(*Settings)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.settings
	change(&next)
	if err := next.Validate(); err != nil {
		return err
	}
	s.settings = next
	return nil
}
