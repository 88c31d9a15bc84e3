// Package athletev1 is what the athlete plane announces.
package athletev1
