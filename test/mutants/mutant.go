package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one deliberate fault.
type mutant struct {
	// id is the boundary and what the fault is, as in "credentials/lease-ignored".
	id string
	// breaks says what goes wrong, and for whom.
	breaks string
	// file is relative to the repository.
	file string
	// old occurs exactly once in the file. new takes its place.
	old, new string
	// by are the packages whose tests notice the fault, the fastest first. After a
	// space may stand a pattern of the tests that notice it: where all of the
	// package's tests take long. All of them run only if those do not fail.
	by []string
}

// suites returns what to run until a test fails: by, and then all tests of the
// packages of which by names only some.
func (m mutant) suites() []string {
	all := slices.Clone(m.by)
	for _, by := range m.by {
		if pkg, _, some := strings.Cut(by, " "); some {
			all = append(all, pkg)
		}
	}
	return all
}

// table returns all mutants.
func table() []mutant {
	return slices.Concat(credentialsTokens, credentialsEnds, credentialsPeople, gatheringScans, gatheringHints, gatheringQuota,
		athletePlane, activityPlane, shared, deployment)
}

// apply returns the path of the mutant's file, and its content with the fault.
func (m mutant) apply(root string) (path string, mutated []byte, _ error) {
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		return "", nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", nil, err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", nil, fmt.Errorf("%s: the old text occurs %d times in %s", m.id, n, m.file)
	}
	return path, []byte(strings.Replace(string(b), m.old, m.new, 1)), nil
}
