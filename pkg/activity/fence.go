package activity

import (
	"slices"
	"time"
)

// Fence says what may be kept of an athlete, whatever arrives and however
// late. Each of its parts only ever grows.
type Fence struct {
	// Authorized is the latest authorization that is known.
	Authorized int64
	// Revoked is the latest authorization that is over: nothing read under it,
	// or an earlier one, is kept.
	Revoked int64
	// Limited is the latest authorization that does not cover what only the
	// athlete may see: no such activity read under it, or an earlier one, is
	// kept.
	Limited int64
	// Closed is the latest authorization that covers no activities: none read under
	// it, or an earlier one, is kept.
	Closed int64
	// ScanGeneration and ScanBegan are those of the latest scan that is
	// complete. It found everything that was there, so that older readings have
	// nothing more to say.
	ScanGeneration int64
	ScanBegan      time.Time
	// Expires is when the fence is no longer needed; zero for never.
	Expires time.Time
}

// Coverage says which of an athlete's activities an authorization covers; more
// is greater.
type Coverage int

// The coverages (Strava, "Authentication").
const (
	CoversNone Coverage = iota
	// CoversShared: what everyone or the athlete's followers may see.
	CoversShared
	// CoversOnlyYou: what only the athlete may see, too.
	CoversOnlyYou
)

// CoverageOf is what Strava's scopes cover.
func CoverageOf(scopes []string) Coverage {
	switch {
	case slices.Contains(scopes, "activity:read_all"):
		return CoversOnlyYou
	case slices.Contains(scopes, "activity:read"):
		return CoversShared
	}
	return CoversNone
}

// Authorize takes in that there is an authorization, and what it covers. It
// tells whether that changed anything.
func (f *Fence) Authorize(generation int64, c Coverage) bool {
	old := *f
	f.Authorized = max(f.Authorized, generation)
	if c < CoversOnlyYou {
		f.Limited = max(f.Limited, generation)
	}
	if c < CoversShared {
		f.Closed = max(f.Closed, generation)
	}
	if f.Authorized > f.Revoked {
		f.Expires = time.Time{}
	}
	return *f != old
}

// Scanned takes in that a scan is complete and tells whether that changed
// anything.
func (f *Fence) Scanned(generation int64, began time.Time) bool {
	if generation < f.ScanGeneration || generation == f.ScanGeneration && !began.After(f.ScanBegan) {
		return false
	}
	f.ScanGeneration, f.ScanBegan = generation, began
	return true
}

// Revoke takes in that an authorization is over and tells whether that changed
// anything. A fence that has nothing else to say expires.
func (f *Fence) Revoke(generation int64, expires time.Time) bool {
	if generation <= f.Revoked {
		return false
	}
	if max(f.Authorized, f.Limited, f.ScanGeneration) > generation {
		f.Revoked = generation
	} else {
		*f = Fence{Revoked: generation, Expires: expires}
	}
	return true
}

// Admit fails with [ErrRevoked] when the authorization is over.
func (f Fence) Admit(by Authorization) error {
	if by.Generation <= f.Revoked {
		return ErrRevoked
	}
	return nil
}

// Learn gives what is known of an activity once read was read, when old was
// known before.
func (f Fence) Learn(old, read Row) Row {
	if read = f.Keep(read); read.newer(old) {
		return read
	}
	return old
}

// Keep gives what may be kept of a row.
func (f Fence) Keep(r Row) Row {
	switch {
	case r.Generation <= f.Revoked,
		r.Generation <= f.Closed,
		r.Generation < f.ScanGeneration,
		r.Generation == f.ScanGeneration && r.ReadAt.Before(f.ScanBegan):
		return Row{}
	case r.onlyYou() && r.Generation <= f.Limited:
		return r.gone()
	}
	return r
}

// KeepsSync reports whether the sync may be kept.
func (f Fence) KeepsSync(s Sync) bool {
	return s.Generation > f.Revoked && s.Generation >= f.ScanGeneration
}
