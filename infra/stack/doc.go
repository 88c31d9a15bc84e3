// Package stack makes the stacks of a stage, one for each boundary. Stacks share
// only the bus and the exported fields of other stacks: a function, an HTTP API,
// the session authorizer. No stack reaches another's table, queue or parameter.
//
// A stack is a struct with the CDK's Stack embedded. Constructs take the field
// Stack as their scope: jsii does not accept a struct that embeds an object.
package stack
