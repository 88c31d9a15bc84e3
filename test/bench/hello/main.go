// Command hello is the smallest possible Lambda function in Go: the baseline of the
// cold starts.
package main

import "github.com/aws/aws-lambda-go/lambda"

func main() { lambda.Start(func() {}) }
