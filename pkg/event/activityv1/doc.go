// Package activityv1 is what the activity plane announces.
package activityv1
