package fault

import (
	"errors"
	"fmt"
)

// Kind classifies an error by what a caller can do about it.
type Kind string

// The kinds. An error without a kind is internal: it is unexpected, and retried
// like a transient one until it reaches a dead-letter queue.
const (
	Internal Kind = "internal"
	// Invalid: the input is wrong. Report it to the sender and do not retry.
	Invalid Kind = "invalid"
	// NotFound: the object does not exist, or not for this caller.
	NotFound Kind = "not_found"
	// Conflict: another writer was faster. Read again and decide again.
	Conflict Kind = "conflict"
	// Permanent: the same call can never succeed.
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

// New returns an error of the kind. The format works as in [fmt.Errorf].
func New(kind Kind, format string, args ...any) error {
	return &fault{kind: kind, err: fmt.Errorf(format, args...)}
}

// Of returns the kind of the outermost fault in err's chain, or [Internal] if
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
