// Command hello is the least a Go function in Lambda can be: what the cold
// starts of the others are compared with.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() {}) }
