package invoke

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Function returns a func that invokes the Lambda function with the ARN; name
// is its name in errors. The call fails with [fault.Transient] if the function
// failed or could not be invoked, and with [fault.Permanent] if its response is
// not an Out.
func Function[In, Out any](client *lambda.Client, arn, name string) func(context.Context, In) (Out, error) {
	return func(ctx context.Context, in In) (out Out, _ error) {
		payload, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("encode the request to %s: %w", name, err)
		}
		res, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(arn), Payload: payload})
		if err != nil {
			return out, fault.New(fault.Transient, "invoke %s: %w", name, err)
		}
		if res.FunctionError != nil {
			return out, fault.New(fault.Transient, "%s failed: %s", name, *res.FunctionError)
		}
		if err := json.Unmarshal(res.Payload, &out); err != nil {
			return out, fault.New(fault.Permanent, "the answer of %s is malformed", name)
		}
		return out, nil
	}
}
