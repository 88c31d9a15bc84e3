package sim

// kind is a way in which something fails at a place.
type kind string

// Kinds of failures of calls.
const (
	// refuse: the call has no effect and returns a transient error.
	refuse kind = "refused"
	// lose: the call has its effect, and returns a transient error.
	lose kind = "answer lost"
)
