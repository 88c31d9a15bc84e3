package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	// MaxKeys is how many unexpired keys an athlete may have.
	MaxKeys = 10
	// maxKeyName is how many characters the name of a key may have.
	maxKeyName = 60
)

// Errors of [Keys].
var (
	// ErrTooManyKeys: the athlete has [MaxKeys] keys.
	ErrTooManyKeys = fault.New(fault.Conflict, "there are %d keys already", MaxKeys)
	// ErrNoKey: the athlete has no such key.
	ErrNoKey = fault.New(fault.NotFound, "no such key")
)

// Keys lets athletes make keys for programs that read their data.
type Keys struct {
	Store CredentialStore
	// NewSecret returns 256 unguessable bits as URL-safe text.
	NewSecret func() string
	Now       func() time.Time
}

// Create makes a key. expiresAt is zero for a key without an end date. The
// secret is returned once and not stored. Errors: an invalid fault about the
// name or the end, ErrTooManyKeys, or ErrRevoked if the authorization is over.
func (k *Keys) Create(ctx context.Context, by Authorization, name string, expiresAt time.Time) (Credential, secret.String, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > maxKeyName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return Credential{}, secret.String{}, fault.New(fault.Invalid, "the name must have 1 to %d characters", maxKeyName)
	}
	now := k.Now()
	expiresAt = expiresAt.UTC().Truncate(time.Second)
	if !expiresAt.IsZero() && !expiresAt.After(now) {
		return Credential{}, secret.String{}, fault.New(fault.Invalid, "the end date must be in the future")
	}
	key, token := newCredential(KeyCredential, by, k.NewSecret(), now)
	key.Name, key.ExpiresAt = name, expiresAt
	if err := create(ctx, k.Store, key); err != nil {
		return Credential{}, secret.String{}, fmt.Errorf("create key: %w", err)
	}
	// The count comes after the write, so that two calls at once cannot exceed it.
	n, err := k.live(ctx, by.AthleteID)
	if err == nil && n > MaxKeys {
		err = ErrTooManyKeys
	}
	if err != nil {
		return Credential{}, secret.String{}, errors.Join(err, k.Store.Delete(ctx, []Credential{key}))
	}
	return key, token, nil
}

// live counts the athlete's keys that have not expired.
func (k *Keys) live(ctx context.Context, athleteID int64) (n int, _ error) {
	keys, err := k.List(ctx, athleteID)
	for _, key := range keys {
		if !key.Expired(k.Now()) {
			n++
		}
	}
	return n, err
}

// List returns the athlete's keys, the oldest first, including those that
// expired lately and excluding those that were revoked.
func (k *Keys) List(ctx context.Context, athleteID int64) ([]Credential, error) {
	all, err := k.Store.Credentials(ctx, athleteID)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	now := k.Now()
	keys := slices.DeleteFunc(all, func(c Credential) bool {
		dropped := c.RetainedUntil() // The store may delete it later.
		return c.Kind != KeyCredential || !c.EndedAt.IsZero() || (!dropped.IsZero() && !now.Before(dropped))
	})
	slices.SortFunc(keys, func(a, b Credential) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.Hash, b.Hash))
	})
	return keys, nil
}

// Revoke ends one of the athlete's keys. Errors: ErrNoKey.
func (k *Keys) Revoke(ctx context.Context, athleteID int64, id string) error {
	keys, err := k.List(ctx, athleteID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(keys, func(c Credential) bool { return c.ID() == id })
	if i < 0 {
		return ErrNoKey
	}
	if err := k.Store.End(ctx, keys[i].ended(k.Now(), "")); err != nil {
		return fmt.Errorf("revoke key: %w", err)
	}
	return nil
}
