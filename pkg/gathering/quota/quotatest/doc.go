// Package quotatest holds the quota's budget in memory, for tests and
// simulations, and the conformance suite that every adapter that stores it must
// pass.
package quotatest
