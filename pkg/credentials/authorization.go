package credentials

// Authorization is an authorization by an athlete: at Strava, one consent. Its
// zero value is no authorization.
type Authorization struct {
	AthleteID int64
	// Generation is the [Grant.Generation] of the athlete's grant under the
	// authorization.
	Generation int64
}

// exists reports whether a names an athlete.
func (a Authorization) exists() bool { return a.AthleteID != 0 }

// covers reports whether the end of a ends other, too: both are of the same
// athlete, and other is not the later one.
func (a Authorization) covers(other Authorization) bool {
	return other.exists() && a.AthleteID == other.AthleteID && a.Generation >= other.Generation
}
