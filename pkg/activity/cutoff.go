package activity

import (
	"cmp"
	"slices"
	"time"
)

// Cutoff says which readings of an athlete may be stored, however late they
// arrive. Each of its parts only ever grows.
type Cutoff struct {
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
	// Expires is when the cutoff is no longer needed; zero for never.
	Expires time.Time
}

// Authorize records an authorization and its coverage. It reports whether the
// cutoff changed.
func (c *Cutoff) Authorize(generation int64, covers Coverage) bool {
	old := *c
	c.Authorized = max(c.Authorized, generation)
	if covers < CoversOnlyYou {
		c.Limited = max(c.Limited, generation)
	}
	if covers < CoversShared {
		c.Closed = max(c.Closed, generation)
	}
	if c.Authorized > c.Revoked {
		c.Expires = time.Time{}
	}
	return *c != old
}

// Scanned records a completed scan. It reports whether the cutoff changed.
func (c *Cutoff) Scanned(scan CompletedScan) bool {
	if scan.Generation <= c.Revoked {
		return false
	}
	if known := c.Scan; known != nil {
		newer := cmp.Or(cmp.Compare(scan.Generation, known.Generation), scan.Began.Compare(known.Began))
		if newer < 0 || newer == 0 && slices.Equal(scan.Covered, known.Covered) {
			return false
		}
	}
	c.Scan = &scan
	return true
}

// Revoke records the end of an authorization. It reports whether the cutoff
// changed. A cutoff with no later authorization or scan expires.
func (c *Cutoff) Revoke(generation int64, expires time.Time) bool {
	if generation <= c.Revoked {
		return false
	}
	c.Revoked = generation
	if c.Scan != nil && c.Scan.Generation <= generation {
		c.Scan = nil
	}
	if c.Scan == nil && max(c.Authorized, c.Limited) <= generation {
		*c = Cutoff{Revoked: generation, Expires: expires}
	}
	return true
}

// Expire drops the ranges of the scan if it began at the time or before. It
// reports whether the cutoff changed. Records that such a scan outdates are too
// old to be kept anyway, and the gaps between the ranges are Strava's data:
// they show when activities started.
func (c *Cutoff) Expire(until time.Time) bool {
	if c.Scan == nil || len(c.Scan.Covered) == 0 || c.Scan.Began.After(until) {
		return false
	}
	c.Scan = &CompletedScan{Generation: c.Scan.Generation, Began: c.Scan.Began}
	return true
}

// Admit fails with [ErrRevoked] if the authorization is over.
func (c Cutoff) Admit(by Authorization) error {
	if by.Generation <= c.Revoked {
		return ErrRevoked
	}
	return nil
}

// Merge returns the record of an activity after a reading of it: the newer one
// of old and read, unless read may not be stored.
func (c Cutoff) Merge(old, read Record) Record {
	if c.Scan.Outdates(read) {
		return old
	}
	if read = c.Keep(read); read.newer(old) {
		return read
	}
	return old
}

// Keep returns what the athlete's authorizations allow to keep of a record: the
// record, a deletion, or the zero record. It ignores the scan: [Recorder]
// decides what a scan may remove.
func (c Cutoff) Keep(r Record) Record {
	switch {
	case r.Generation <= c.Revoked, r.Generation <= c.Closed:
		return Record{}
	case r.onlyYou() && r.Generation <= c.Limited:
		return r.deleted()
	}
	return r
}

// KeepsSync reports whether the sync may be kept.
func (c Cutoff) KeepsSync(s Sync) bool { return s.Generation > c.Revoked }
