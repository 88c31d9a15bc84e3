package standin

import "errors"

// ErrNotFound is returned for an account, an activity or another thing that the
// stand-in does not have. The control API returns 404.
var ErrNotFound = errors.New("not found")

// ErrInvalid is returned for a value that the stand-in does not accept. The
// control API returns 400.
var ErrInvalid = errors.New("invalid")
