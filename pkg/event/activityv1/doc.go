// Package activityv1 has the events that the activity plane publishes.
package activityv1
