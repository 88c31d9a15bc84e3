package activity

import (
	"cmp"
	"slices"
	"time"
)

// Guard says which readings of an athlete may be stored, however late they
// arrive. Each of its parts only ever grows.
type Guard struct {
	// Authorized is the generation of the latest known authorization.
	Authorized int64
	// Revoked is the generation of the latest authorization that is over. No
	// reading under it, or under an earlier one, is kept.
	Revoked int64
	// Limited is the generation of the latest authorization without access to
	// activities that only the athlete may see. None of those that was read under
	// it, or under an earlier one, is kept.
	Limited int64
	// Closed is the generation of the latest authorization without access to
	// activities. None that was read under it, or under an earlier one, is kept.
	Closed int64
	// Scan is the latest completed scan; nil if there is none. Readings that it
	// outdates are no longer stored.
	Scan *CompletedScan
	// Expires is when the guard is no longer needed; zero for never.
	Expires time.Time
}

// Authorize records an authorization and its coverage. It reports whether the
// guard changed.
func (g *Guard) Authorize(generation int64, covers Coverage) bool {
	old := *g
	g.Authorized = max(g.Authorized, generation)
	if covers < CoversOnlyYou {
		g.Limited = max(g.Limited, generation)
	}
	if covers < CoversShared {
		g.Closed = max(g.Closed, generation)
	}
	if g.Authorized > g.Revoked {
		g.Expires = time.Time{}
	}
	return *g != old
}

// Scanned records a completed scan. It reports whether the guard changed.
func (g *Guard) Scanned(scan CompletedScan) bool {
	if scan.Generation <= g.Revoked {
		return false
	}
	if known := g.Scan; known != nil {
		newer := cmp.Or(cmp.Compare(scan.Generation, known.Generation), scan.Began.Compare(known.Began))
		if newer < 0 || newer == 0 && slices.Equal(scan.Covered, known.Covered) {
			return false
		}
	}
	g.Scan = &scan
	return true
}

// Revoke records the end of an authorization. It reports whether the guard
// changed. A guard with no later authorization or scan expires.
func (g *Guard) Revoke(generation int64, expires time.Time) bool {
	if generation <= g.Revoked {
		return false
	}
	g.Revoked = generation
	if g.Scan != nil && g.Scan.Generation <= generation {
		g.Scan = nil
	}
	if g.Scan == nil && max(g.Authorized, g.Limited) <= generation {
		*g = Guard{Revoked: generation, Expires: expires}
	}
	return true
}

// Expire drops the ranges of the scan if it began at the time or before. It
// reports whether the guard changed. Records that such a scan outdates are too
// old to be kept anyway, and the space between the ranges is Strava's data:
// it shows when activities started.
func (g *Guard) Expire(until time.Time) bool {
	if g.Scan == nil || len(g.Scan.Covered) == 0 || g.Scan.Began.After(until) {
		return false
	}
	g.Scan = &CompletedScan{Generation: g.Scan.Generation, Began: g.Scan.Began}
	return true
}

// Admit fails with [ErrRevoked] if the authorization is over.
func (g Guard) Admit(by Authorization) error {
	if by.Generation <= g.Revoked {
		return ErrRevoked
	}
	return nil
}

// Merge returns the record of an activity after a reading of it: the newer one
// of old and read, unless read may not be stored.
func (g Guard) Merge(old, read Record) Record {
	if g.Scan.Outdates(read) {
		return old
	}
	if read = g.Keep(read); read.newer(old) {
		return read
	}
	return old
}

// Keep returns what the athlete's authorizations allow to keep of a record: the
// record, a deletion, or the zero record. It ignores the scan: [Recorder]
// decides what a scan may remove.
func (g Guard) Keep(r Record) Record {
	switch {
	case r.Generation <= g.Revoked, r.Generation <= g.Closed:
		return Record{}
	case r.onlyYou() && r.Generation <= g.Limited:
		return r.deleted()
	}
	return r
}

// KeepsSync reports whether the sync may be kept.
func (g Guard) KeepsSync(s Sync) bool { return s.Generation > g.Revoked }
