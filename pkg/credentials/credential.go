package credentials

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
	"github.com/paceline/paceline/pkg/kit/secret"
)

// CredentialKind is the kind of a [Credential].
type CredentialKind string

// The kinds.
const (
	// SessionCredential: a browser has it in a cookie. It may do everything.
	SessionCredential CredentialKind = "session"
	// KeyCredential: a program sends it as a bearer token. It may only read.
	KeyCredential CredentialKind = "key"
)

// Credential is the stored form of a browser's session or a program's key. The
// secret by which it identifies a caller is not stored.
type Credential struct {
	// Authorization is the athlete, and the generation that was in force when
	// the credential was made.
	Authorization
	// Hash is the SHA-256 of the secret in hex.
	Hash string
	Kind CredentialKind
	// CreatedAt is when the credential was made: for a session, right after the
	// athlete consented at Strava.
	CreatedAt time.Time
	// ExpiresAt is when the credential ends; zero for a key without an end date.
	ExpiresAt time.Time
	// UsedOn is the day of the last use, at midnight UTC; zero before the first.
	UsedOn time.Time
	// Name that the athlete gave a key; sessions have none.
	Name string
	// EndedAt is when the credential was revoked or its authorization ended. What
	// is left then is a tombstone without a name, for [retention.Tombstone].
	EndedAt time.Time
	// Receipt of the erasure that the credential ended with; empty without one.
	Receipt string
}

// ID names the credential to its athlete. It is the beginning of the hash,
// which does not reveal the secret.
func (c Credential) ID() string { return c.Hash[:16] }

// Expired reports whether the credential has expired at now.
func (c Credential) Expired(now time.Time) bool {
	return !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt)
}

// RetainedUntil is when the store may delete the credential; zero for never. An
// expired key is kept for a while, so that its holder learns why it is refused.
func (c Credential) RetainedUntil() time.Time {
	switch {
	case !c.EndedAt.IsZero():
		return c.EndedAt.Add(retention.Tombstone)
	case c.ExpiresAt.IsZero():
		return time.Time{}
	case c.Kind == KeyCredential:
		return c.ExpiresAt.Add(retention.Tombstone)
	}
	return c.ExpiresAt
}

// ended is the tombstone of the credential.
func (c Credential) ended(now time.Time, receipt string) Credential {
	return Credential{Authorization: c.Authorization, Hash: c.Hash, Kind: c.Kind, EndedAt: now, Receipt: receipt}
}

// CredentialStore stores credentials. Its reads are strongly consistent.
type CredentialStore interface {
	// Put stores a new credential.
	Put(ctx context.Context, c Credential) error
	// Credential returns a credential together with its athlete's grant; the
	// zero Grant when there is none. A missing credential is a not-found fault.
	Credential(ctx context.Context, athleteID int64, hash string) (Credential, Grant, error)
	// Credentials returns all credentials of the athlete, including tombstones.
	Credentials(ctx context.Context, athleteID int64) ([]Credential, error)
	// Update stores the day of use and the time of expiry. It leaves a credential
	// alone that has ended or was deleted.
	Update(ctx context.Context, c Credential) error
	// End replaces a credential by its tombstone, unless there is one or the
	// credential was deleted.
	End(ctx context.Context, tombstone Credential) error
	// Delete deletes credentials. Deleting one again is no error.
	Delete(ctx context.Context, credentials []Credential) error
	// Sessions pages through all athletes' sessions. cursor is empty for the
	// first page, next is empty after the last; a page may have fewer than limit.
	Sessions(ctx context.Context, cursor string, limit int) (page []Credential, next string, err error)
}

// keyPrefix lets people, and scanners that look for leaked secrets, recognize a
// key.
const keyPrefix = "pck_"

// newCredential makes a credential and its secret: the athlete's id, an
// underscore and 256 random bits; a key has a prefix.
func newCredential(kind CredentialKind, of Authorization, random string, now time.Time) (Credential, secret.String) {
	text := strconv.FormatInt(of.AthleteID, 10) + "_" + random
	if kind == KeyCredential {
		text = keyPrefix + text
	}
	token := secret.New(text)
	return Credential{Authorization: of, Hash: token.SHA256(), Kind: kind, CreatedAt: now}, token
}

// draftTTL is how long a credential is valid whose creation was cut off.
const draftTTL = time.Hour

// create stores a new credential, and then checks that the grant still admits
// it: if the authorization ends at the same time, either create sees that in
// the grant, or the revocation finds the credential and ends it. Until then the
// credential expires soon, so that nothing of it remains if this process is
// killed. The error is ErrRevoked if the authorization is over.
func create(ctx context.Context, store CredentialStore, c Credential) error {
	draft := c
	if end := c.CreatedAt.Add(draftTTL); c.Kind == KeyCredential && (c.ExpiresAt.IsZero() || c.ExpiresAt.After(end)) {
		draft.ExpiresAt = end
	}
	if err := store.Put(ctx, draft); err != nil {
		return err
	}
	_, grant, err := store.Credential(ctx, c.AthleteID, c.Hash)
	if err == nil && !grant.Admits(c.Authorization) {
		err = ErrRevoked
	}
	if err == nil && !draft.ExpiresAt.Equal(c.ExpiresAt) {
		err = store.Update(ctx, c)
	}
	if err != nil {
		return errors.Join(err, store.Delete(ctx, []Credential{c}))
	}
	return nil
}

// ownerOf returns the athlete that a secret names as its owner.
func ownerOf(kind CredentialKind, token secret.String) (athleteID int64, ok bool) {
	text, isKey := strings.CutPrefix(token.Reveal(), keyPrefix)
	id, _, found := strings.Cut(text, "_")
	athleteID, err := strconv.ParseInt(id, 10, 64)
	return athleteID, found && err == nil && athleteID > 0 && isKey == (kind == KeyCredential)
}

// Reasons why a credential is refused.
var (
	// ErrUnknownCredential: no such credential was made, or it was deleted.
	ErrUnknownCredential = fault.New(fault.NotFound, "unknown credential")
	// ErrExpiredCredential: the credential has expired.
	ErrExpiredCredential = fault.New(fault.NotFound, "expired credential")
)

// day is midnight UTC before t.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }
