// Package stack composes the stacks of a stage, one a boundary. They meet only
// on the bus and by what a stack's exported fields hold: a function, the HTTP
// API, the session authorizer. None sees another's table, queue or parameter.
package stack
