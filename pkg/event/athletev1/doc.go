// Package athletev1 has the events that the athlete plane publishes.
package athletev1
