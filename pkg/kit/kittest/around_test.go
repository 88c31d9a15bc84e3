package kittest_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"
)

var errOwn, errLost = errors.New("the call's own error"), errors.New("lost")

func TestAnAnswerIsReturnedUnlessTheAroundHidesIt(t *testing.T) {
	refuse := func(context.Context, string, func(context.Context) error) error { return errLost }
	lose := func(ctx context.Context, _ string, call func(context.Context) error) error {
		_ = call(ctx)
		return errLost
	}
	for name, tc := range map[string]struct {
		around    kittest.Around
		own, want error
		answer    int
		calls     int
	}{
		"answered":               {kittest.PassThrough, nil, nil, 7, 1},
		"failed with an answer":  {kittest.PassThrough, errOwn, errOwn, 7, 1},
		"refused":                {refuse, nil, errLost, 0, 0},
		"lost":                   {lose, nil, errLost, 0, 1},
		"failed, and that, lost": {lose, errOwn, errLost, 0, 1},
	} {
		calls := 0
		answer, err := kittest.Get(t.Context(), tc.around, "op", func(context.Context) (int, error) { calls++; return 7, tc.own })
		if answer != tc.answer || !errors.Is(err, tc.want) || calls != tc.calls {
			t.Errorf("%s: %d, %v after %d calls", name, answer, err, calls)
		}
	}
}

func TestAStaleReadReturnsTheLastAnswer(t *testing.T) {
	stale := false
	read := kittest.StaleRead[string, []int]{Op: "op", Copy: slices.Clone[[]int], Around: func(ctx context.Context, _ string, call func(context.Context) error) error {
		if stale {
			return kittest.ErrStale
		}
		return call(ctx)
	}}
	stored, fails := []int{1, 2}, error(nil)
	want := func(key string, isStale bool, want ...int) {
		t.Helper()
		stale = isStale
		got, err := read.Get(t.Context(), key, func(context.Context) ([]int, error) { return slices.Clone(stored), fails })
		if !slices.Equal(got, want) || !errors.Is(err, fails) && !stale {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
		clear(got) // The answer is the caller's.
	}
	want("a", true)
	want("a", false, 1, 2)
	stored = []int{3}
	want("a", true, 1, 2)
	want("a", true, 1, 2)
	want("b", true)
	want("a", false, 3)
	fails = errOwn
	stored = nil
	want("a", false)
	want("a", true, 3)
}

func TestStepsOutsideACallDoNothing(t *testing.T) {
	kittest.Must(t, kittest.BetweenParts(t.Context()))
	changed, err := kittest.Writes(t.Context(), func(*int) (bool, error) { return true, nil })(nil)
	if !changed || err != nil {
		t.Errorf("changed %v, %v", changed, err)
	}
}

type port interface {
	Update(ctx context.Context, change func(*int) (changed bool, err error)) error
	Read(ctx context.Context) (int, error)
	Name() string
}

func TestOperationsAreTheCallsOfPorts(t *testing.T) {
	type ports struct {
		Port      port
		NewSecret func() string
		Sleep     func(context.Context) error
		Check     func(context.Context) (int, error)
		Size      int
	}
	want := []string{"b.Port.Read", "b.Port.Update", "b.Port.Update/write", "b.Check"}
	if got := kittest.Operations(ports{}, "b"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
