// Package sessionwiring makes the ports of functions that use sessions and keys
// only. It links no adapter but DynamoDB's, which keeps the authorizer small.
package sessionwiring
