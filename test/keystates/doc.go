// Package keystates holds Parameter Store to the states of the keys that its
// parameters are encrypted under. The emulator's asks no key, so a stage that is
// destroyed and deployed again would find its parameters readable, unlike on
// AWS. Whether a key can be used is what the emulator's KMS says.
package keystates
