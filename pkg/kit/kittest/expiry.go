package kittest

import (
	"cmp"
	"slices"
	"time"
)

// Expired reports whether DynamoDB's TTL may have dropped an item at a time. Its
// attribute for expires has whole seconds. An item with a zero expires never
// expires.
func Expired(expires, at time.Time) bool {
	return !expires.IsZero() && !expires.Truncate(time.Second).After(at)
}

// DropExpired drops each item that has expired at a time, if drop returns true,
// and returns the keys of those that it dropped. It calls drop in the order of the
// keys.
func DropExpired[K cmp.Ordered, V any](items map[K]V, expires func(V) time.Time, at time.Time, drop func() bool) (dropped []K) {
	for key, item := range items {
		if Expired(expires(item), at) {
			dropped = append(dropped, key)
		}
	}
	slices.Sort(dropped)
	dropped = slices.DeleteFunc(dropped, func(K) bool { return !drop() })
	for _, key := range dropped {
		delete(items, key)
	}
	return dropped
}
