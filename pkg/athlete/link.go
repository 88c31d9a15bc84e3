package athlete

import (
	"slices"
	"time"
)

// Link is an account at another provider.
type Link struct {
	Provider string
	// AccountID is empty once the account is unlinked. The link is a tombstone
	// then: no event of this or an earlier Generation is accepted.
	AccountID string
	// Generation of the account's authorization.
	Generation int64
	// AthleteGeneration is that of the athlete's authorization under which the
	// account was linked.
	AthleteGeneration int64
	// LinkedAt is zero once the account is unlinked.
	LinkedAt time.Time
}

// LinkedAccounts returns the links without their tombstones.
func (a Account) LinkedAccounts() []Link {
	return slices.DeleteFunc(slices.Clone(a.Links), func(l Link) bool { return l.AccountID == "" })
}

// applyLink stores a link, or the end of one. Events may come in any order: the
// largest generation counts, and of one generation the end. It reports whether
// that changed anything.
func (a *Account) applyLink(l Link, now time.Time) bool {
	if l.AccountID != "" && l.AthleteGeneration <= a.RevokedGeneration {
		return false
	}
	i := slices.IndexFunc(a.Links, func(other Link) bool { return other.Provider == l.Provider })
	if i < 0 {
		a.Links = append(a.Links, l)
		a.updateExpiry(now)
		return true
	}
	known := a.Links[i]
	if l.Generation < known.Generation || l.Generation == known.Generation && (l.AccountID != "" || known.AccountID == "") {
		return false
	}
	l.AthleteGeneration = max(l.AthleteGeneration, known.AthleteGeneration)
	a.Links[i] = l
	a.updateExpiry(now)
	return true
}
