// Command infra synthesises Paceline's CloudFormation templates. The CDK CLI runs
// it, as `go run ./infra` or as a built binary, and passes it the context of
// cdk.json and of `-c`. Besides that it reads only the built functions in dist
// and the built site in web/dist, both relative to the working directory.
package main
