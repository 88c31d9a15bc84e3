package fault

import (
	"errors"
	"fmt"
)

// Kind is what a caller can do about an error.
type Kind string

// The kinds. An error of no kind is internal: unexpected, and retried like a
// transient one until it reaches the dead letters.
const (
	Internal Kind = "internal"
	// Invalid input: tell the sender, do not retry.
	Invalid Kind = "invalid"
	// NotFound: what was asked for does not exist, or not for this caller.
	NotFound Kind = "not_found"
	// Conflict: somebody else was faster; re-read and decide again.
	Conflict Kind = "conflict"
	// Permanent: the same call will never succeed.
	Permanent Kind = "permanent"
	// Transient: the same call may succeed later.
	Transient Kind = "transient"
)

type fault struct {
	kind Kind
	err  error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// New makes an error of a kind. The format works as in [fmt.Errorf].
func New(kind Kind, format string, args ...any) error {
	return &fault{kind: kind, err: fmt.Errorf(format, args...)}
}

// Of returns the kind of the outermost fault in err's chain; [Internal] when
// there is none.
func Of(err error) Kind {
	var f *fault
	if errors.As(err, &f) {
		return f.kind
	}
	return Internal
}

// Is reports whether err is of the kind.
func Is(err error, kind Kind) bool { return err != nil && Of(err) == kind }
