package sim

import (
	"fmt"
	"strings"
	"time"
)

// story is what happens in a run: a digest of every step, and on demand the text
// of what people did and of what failed.
type story struct {
	digest uint64
	// events counts steps of processes, failures, and actions of people.
	events int64
	// told has the lines, unless they are not wanted.
	told    []string
	tell    bool
	verbose bool
}

// step notes the call of a port.
func (s *story) step(process, op string) {
	s.note(process, op)
	if s.verbose {
		s.line("    %s: %s", process, op)
	}
}

// failure notes that something fails.
func (s *story) failure(place string, k kind) {
	s.note(place, string(k))
	if s.tell {
		s.line("  %s: %s", place, k)
	}
}

// action notes what a person did, or another change of the world.
func (s *story) action(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.note(text, "")
	if s.tell {
		s.line("%s", text)
	}
}

func (s *story) line(format string, args ...any) {
	s.told = append(s.told, time.Now().UTC().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// note adds to the digest (FNV-1a).
func (s *story) note(a, b string) {
	s.events++
	h := s.digest ^ uint64(time.Now().UnixNano())
	for i := range len(a) {
		h = (h ^ uint64(a[i])) * 1099511628211
	}
	for i := range len(b) {
		h = (h ^ uint64(b[i])) * 1099511628211
	}
	s.digest = h
}

func (s *story) String() string { return strings.Join(s.told, "\n") }
