// Package arch tests the structure of the code. Imports: boundaries do not depend
// on each other, domains depend on no technology, and nothing that runs in Lambda
// depends on the CDK. Mechanisms: AWS clients have limits, only pkg/kit/dynamo
// handles conflicts of DynamoDB, only pkg/kit/retention declares how long data is
// kept, and only a boundary's Ports build its use cases. Each package has a
// comment. Every rule has a test which shows that it notices a violation.
package arch
