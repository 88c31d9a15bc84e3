// Package wiring builds the ports of the athlete plane for its functions.
package wiring
