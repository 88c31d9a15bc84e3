package sim

import (
	"slices"
	"strings"
	"testing"
)

// shrink returns the smallest plan that it finds which breaks the same promise:
// it leaves out actors, failures and storms for as long as the plan still fails.
func shrink(t *testing.T, p plan, promise string) plan {
	fails := func(smaller plan) bool {
		if !breaks(play(t, smaller, false), promise) {
			return false
		}
		p = smaller
		return true
	}
	for n := len(p.Storms) - 1; n > 0; n-- {
		smaller := p
		smaller.Storms = slices.Clone(p.Storms[:n])
		if !fails(smaller) {
			break
		}
	}
	for changed := true; changed; {
		changed = false
		for i := len(p.Injections) - 1; i >= 0; i-- {
			smaller := p
			smaller.Injections = slices.Delete(slices.Clone(p.Injections), i, i+1)
			changed = fails(smaller) || changed
		}
		for i := len(p.Actors) - 1; i >= 0; i-- {
			smaller := p
			smaller.Actors = slices.Delete(slices.Clone(p.Actors), i, i+1)
			changed = fails(smaller) || changed
		}
	}
	smaller := p
	smaller.Skew = 0
	fails(smaller)
	return p
}

// breaks reports whether the first promise that a run broke is this one.
func breaks(o outcome, promise string) bool {
	return len(o.violations) > 0 && promiseOf(o.violations[0]) == promise
}

// promiseOf returns the promise that a violation is about.
func promiseOf(violation string) string {
	promise, _, _ := strings.Cut(violation, ":")
	return promise
}
