package activity

import "slices"

// Coverage is the set of an athlete's activities that an authorization covers.
// A greater value covers more.
type Coverage int

// The coverages (Strava, "Authentication").
const (
	CoversNone Coverage = iota
	// CoversShared covers the activities that everyone or the athlete's followers
	// may see.
	CoversShared
	// CoversOnlyYou also covers the activities that only the athlete may see.
	CoversOnlyYou
)

// CoverageOf returns the coverage of Strava's scopes.
func CoverageOf(scopes []string) Coverage {
	switch {
	case slices.Contains(scopes, "activity:read_all"):
		return CoversOnlyYou
	case slices.Contains(scopes, "activity:read"):
		return CoversShared
	}
	return CoversNone
}
