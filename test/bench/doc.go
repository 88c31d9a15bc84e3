// Command bench measures the project's code, prints a table and writes it to
// .local/bench.json. `make bench` runs it.
//
// It asserts no times, because machines differ, and one machine differs from
// minute to minute. Ratios can be compared. Each benchmark therefore has a
// baseline, which is measured in the same run, in turns with it.
//
// Owns: the suites, the stand-ins for AWS that they need (Lambda's runtime API,
// EventBridge, and some operations of DynamoDB and SQS), and hello, the
// baseline of the cold starts. It publishes and consumes no events.
package main
