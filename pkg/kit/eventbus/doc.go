// Package eventbus publishes events on the EventBridge bus.
package eventbus
