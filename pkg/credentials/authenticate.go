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
	// cacheTTL is how long a valid credential is accepted without reading it
	// again, and so the longest time for which an ended session still works.
	cacheTTL = 30 * time.Second
	// cacheSize is how many credentials the cache holds: about 2 MB.
	cacheSize = 10_000
	// lookupTimeout and updateTimeout bound the two calls to the store, so that
	// the authorizer answers in time while the store does not.
	lookupTimeout = 2 * time.Second
	updateTimeout = time.Second
)

// Caller identifies who makes a call.
type Caller struct {
	// Authorization has the generation that is in force now, by which the other
	// boundaries know the athlete.
	Authorization
	Kind CredentialKind
}

// Authenticator identifies callers by their session or key.
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

// Authenticate returns the caller that token, a secret of the kind, identifies.
// Unless fresh is set, the result may be up to 30 s old; set fresh for calls
// that change something. Authenticate renews a session in use, at most once a
// day.
//
// Errors: ErrUnknownCredential, ErrExpiredCredential, a [RevokedError], or a
// transient fault if the store does not answer.
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

// recordUse stores the day of use and renews a session. If that fails, the
// credential is still valid, and the next call tries again.
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
		a.Log.WarnContext(ctx, "use of a credential not recorded", "athlete_id", c.AthleteID, "fault", fault.Of(err), "error", err.Error())
	}
}

func (a *Authenticator) cachedCaller(hash string, now time.Time) (Caller, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	entry, ok := a.cache[hash]
	return entry.caller, ok && now.Before(entry.until)
}

// cacheCaller keeps the caller of a valid credential in memory. It empties a
// full cache, which costs one more read of each credential in use.
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

// Admits reports whether the grant admits a session or key made under the
// authorization: it is the one in force, or an earlier one of the same unbroken
// series. Signing in on a phone does not end the session on the laptop; leaving
// ends both.
func (g Grant) Admits(s Authorization) bool {
	return (g.State == Active || g.State == Degraded) && g.Since <= s.Generation && s.Generation <= g.Generation
}

// receiptFor returns the receipt of the pending revocation that ended the
// authorization of a generation; empty if there is none.
func (g Grant) receiptFor(generation int64) string {
	i := slices.IndexFunc(g.Revocations, func(d PendingRevocation) bool { return d.Generation >= generation })
	if i < 0 {
		return ""
	}
	return g.Revocations[i].Receipt
}
