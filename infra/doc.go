// Command infra synthesises Paceline's CloudFormation templates. The CDK CLI
// runs it, as `go run ./infra` or as a binary built before, and hands it the
// context of cdk.json and of `-c`; it reads nothing else but the built
// functions in dist and the built site in web/dist, both relative to the
// working directory.
package main
