// Package startup is what every function's main does first: read its settings,
// load the AWS configuration, and supply the domain with real time, randomness
// and ids.
package startup
