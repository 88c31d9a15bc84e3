package credentials

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
)

const (
	// cacheTTL is how long a good credential is good without another look at
	// the store. A session that was ended is refused by then.
	cacheTTL = 30 * time.Second
	// cacheSize is how many credentials are remembered: about 2 MB.
	cacheSize = 10_000
	// lookupTimeout and updateTimeout bound the two calls to the store, so that the
	// authorizer answers in time whatever the store does.
	lookupTimeout = 2 * time.Second
	updateTimeout = time.Second
)

// Caller is who makes a call.
type Caller struct {
	// Session is the athlete and the generation that is in force now, under
	// which the neighbours know the athlete.
	Authorization
	Kind CredentialKind
}

// Authenticator finds out who calls. All callers are known by it and by nothing
// else.
type Authenticator struct {
	Store CredentialStore
	Now   func() time.Time
	Log   *slog.Logger

	mu    sync.Mutex
	cache map[string]cacheEntry // by hash
}

type cacheEntry struct {
	caller Caller
	until  time.Time
}

// Authenticate returns whose secret of that kind it is. What was read less than
// 30 s ago is good enough unless fresh is set, as it is for calls that change
// something. A session in use renews itself, at most once a day.
//
// Errors: ErrUnknownCredential, ErrExpiredCredential, a [RevokedError], or a
// transient fault when the store does not answer.
func (a *Authenticator) Authenticate(ctx context.Context, kind CredentialKind, token secret.String, fresh bool) (Caller, error) {
	athleteID, ok := ownerOf(kind, token)
	if !ok {
		return Caller{}, ErrUnknownCredential
	}
	hash, now := token.SHA256(), a.Now()
	if !fresh {
		if caller, ok := a.cachedCaller(hash, now); ok {
			return caller, nil
		}
	}
	within, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c, grant, err := a.Store.Credential(within, athleteID, hash)
	switch {
	case fault.Is(err, fault.NotFound):
		return Caller{}, ErrUnknownCredential
	case err != nil:
		return Caller{}, fault.New(fault.Transient, "read the credential: %w", err)
	case !c.EndedAt.IsZero():
		return Caller{}, &RevokedError{c.Receipt}
	case c.Expired(now):
		return Caller{}, ErrExpiredCredential
	case !grant.Admits(c.Authorization):
		return Caller{}, &RevokedError{grant.receiptFor(c.Generation)}
	}
	a.recordUse(ctx, &c, now)
	caller := Caller{Authorization{athleteID, grant.Generation}, kind}
	a.cacheCaller(hash, caller, c, now)
	return caller, nil
}

// recordUse notes the day of use and renews a session. If that fails the next
// call tries again; the credential is good all the same.
func (a *Authenticator) recordUse(ctx context.Context, c *Credential, now time.Time) {
	today := day(now)
	if !c.UsedOn.Before(today) {
		return
	}
	c.UsedOn = today
	if c.Kind == SessionCredential {
		c.ExpiresAt = sessionEnd(*c)
	}
	within, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	if err := a.Store.Update(within, *c); err != nil {
		a.Log.WarnContext(ctx, "the use of a credential is not noted", "athlete_id", c.AthleteID, "fault", fault.Of(err), "error", err.Error())
	}
}

func (a *Authenticator) cachedCaller(hash string, now time.Time) (Caller, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry, ok := a.cache[hash]
	return entry.caller, ok && now.Before(entry.until)
}

// remember keeps a good credential. A full cache is emptied, which costs one more
// read of each credential that is still in use.
func (a *Authenticator) cacheCaller(hash string, caller Caller, c Credential, now time.Time) {
	until := now.Add(cacheTTL)
	if !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(until) {
		until = c.ExpiresAt
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cache == nil || len(a.cache) >= cacheSize {
		a.cache = map[string]cacheEntry{}
	}
	a.cache[hash] = cacheEntry{caller, until}
}

// Admits reports whether a credential of the athlete stands: it was made under
// the authorization in force, or under an earlier one of the unbroken series
// that the present one belongs to. Signing in on a phone does not end the
// session of the laptop; leaving ends both.
func (g Grant) Admits(s Authorization) bool {
	return (g.State == Active || g.State == Degraded) && g.Since <= s.Generation && s.Generation <= g.Generation
}

// receiptFor returns the receipt of the erasure that the authorization of a
// generation ended with; empty when no departure in hand has one.
func (g Grant) receiptFor(generation int64) string {
	i := slices.IndexFunc(g.Revocations, func(d PendingRevocation) bool { return d.Generation >= generation })
	if i < 0 {
		return ""
	}
	return g.Revocations[i].Receipt
}
