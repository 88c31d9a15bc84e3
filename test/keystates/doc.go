// Package keystates makes Parameter Store in the emulator depend on the states
// of KMS keys, as on AWS. The emulator reads a parameter even if its key is
// disabled or deleted, so a stage that is destroyed and deployed again would
// still read its old parameters. The states are those of the emulator's KMS.
package keystates
