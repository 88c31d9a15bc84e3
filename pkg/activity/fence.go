package activity

import (
	"cmp"
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
	// Scan is the latest completed scan; nil if there is none. No reading that it
	// outdates is taken in any more.
	Scan *CompletedScan
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
// reports whether that changed anything.
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

// Scanned takes in that a scan is complete and reports whether that changed
// anything.
func (f *Fence) Scanned(scan CompletedScan) bool {
	if scan.Generation <= f.Revoked {
		return false
	}
	if known := f.Scan; known != nil {
		newer := cmp.Or(cmp.Compare(scan.Generation, known.Generation), scan.Began.Compare(known.Began))
		if newer < 0 || newer == 0 && slices.Equal(scan.Covered, known.Covered) {
			return false
		}
	}
	f.Scan = &scan
	return true
}

// Revoke takes in that an authorization is over and reports whether that changed
// anything. A fence that has nothing else to say expires.
func (f *Fence) Revoke(generation int64, expires time.Time) bool {
	if generation <= f.Revoked {
		return false
	}
	f.Revoked = generation
	if f.Scan != nil && f.Scan.Generation <= generation {
		f.Scan = nil
	}
	if f.Scan == nil && max(f.Authorized, f.Limited) <= generation {
		*f = Fence{Revoked: generation, Expires: expires}
	}
	return true
}

// Forget drops the stretches of the scan if it began at the time or before, and
// reports whether there were any. The rows that such a scan outdates are too
// old to be kept anyway, and the gaps between its stretches are Strava's data:
// starts of activities that Strava failed to show.
func (f *Fence) Forget(until time.Time) bool {
	if f.Scan == nil || len(f.Scan.Covered) == 0 || f.Scan.Began.After(until) {
		return false
	}
	f.Scan = &CompletedScan{Generation: f.Scan.Generation, Began: f.Scan.Began}
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
	if f.Scan.Outdates(read) {
		return old
	}
	if read = f.Keep(read); read.newer(old) {
		return read
	}
	return old
}

// Keep gives what the athlete's authorizations let be kept of a row. A scan takes
// nothing away here: [Recorder] decides what it may remove.
func (f Fence) Keep(r Row) Row {
	switch {
	case r.Generation <= f.Revoked, r.Generation <= f.Closed:
		return Row{}
	case r.onlyYou() && r.Generation <= f.Limited:
		return r.gone()
	}
	return r
}

// KeepsSync reports whether the sync may be kept.
func (f Fence) KeepsSync(s Sync) bool { return s.Generation > f.Revoked }
