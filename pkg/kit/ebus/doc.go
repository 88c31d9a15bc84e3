// Package ebus publishes events on the EventBridge bus.
package ebus
