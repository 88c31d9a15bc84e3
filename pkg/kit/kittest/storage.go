package kittest

import (
	"reflect"
	"testing"
	"time"
)

// RunCrossing checks that update runs change again if another process writes
// between its read and its write, so that both writes count. add is one write,
// count is how many there were.
func RunCrossing[T any](t *testing.T, update func(change func(*T) (bool, error)) error, add func(*T), count func(T) int) {
	t.Helper()
	runs, total := 0, 0
	Must(t, update(func(v *T) (bool, error) {
		if runs++; runs == 1 {
			Must(t, update(func(v *T) (bool, error) { add(v); return true, nil }))
		}
		add(v)
		return true, nil
	}))
	Must(t, update(func(v *T) (bool, error) { total = count(*v); return false, nil }))
	if runs != 2 || total != 2 {
		t.Errorf("change ran %d times, and %d of 2 writes count", runs, total)
	}
}

// RunDropped checks that update runs change again if the item was dropped after
// update had read it. expire makes the item one that expires.
func RunDropped[T any](t *testing.T, update func(change func(*T) (bool, error)) error, expire func(*T), dropExpired func(at time.Time, drop func() bool)) {
	t.Helper()
	Must(t, update(func(v *T) (bool, error) { expire(v); return true, nil }))
	runs := 0
	Must(t, update(func(v *T) (bool, error) {
		if runs++; runs == 1 {
			dropExpired(time.Now().AddDate(1000, 0, 0), func() bool { return true })
		}
		expire(v)
		return true, nil
	}))
	if runs != 2 {
		t.Errorf("change ran %d times", runs)
	}
}

// Scrub zeroes what v points to and everything that is reached from there. What
// a store returns or passes to a change is the caller's: scrubbing it must leave
// what is stored alone.
func Scrub(v any) { scrub(reflect.ValueOf(v)) }

func scrub(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			scrub(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				scrub(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			scrub(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			scrub(v.MapIndex(key))
		}
		v.Clear()
	}
	if v.CanSet() {
		v.SetZero()
	}
}
