// Command bench measures the project's code and writes what it finds as a
// table and to .local/bench.json. `make bench` runs it.
//
// Nothing here asserts a time: machines differ, and so does one machine from
// minute to minute. What can be quoted is a ratio. Each benchmark therefore
// names something to be compared with, which is measured in the same run by
// turns with it.
//
// Owns: the suites, the stand-ins for AWS that they need (Lambda's runtime API,
// EventBridge, and the few calls of DynamoDB, SQS and KMS that are made), and hello, the function
// that cold starts are compared with. It emits and consumes no events.
package main
