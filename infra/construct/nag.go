package construct

import (
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// Acknowledge accepts a finding of cdk-nag on a construct and its children, for a
// reason. The template's metadata, and so the golden, holds the reason. For rules
// that report several findings, findings names the accepted ones, such as
// "Resource::*" for AwsSolutions-IAM5.
func Acknowledge(on constructs.IConstruct, rule, reason string, findings ...string) {
	s := &cdknag.NagPackSuppression{Id: jsii.String(rule), Reason: jsii.String(reason)}
	if len(findings) > 0 {
		var appliesTo []any
		for _, f := range findings {
			appliesTo = append(appliesTo, f)
		}
		s.AppliesTo = &appliesTo
	}
	cdknag.NagSuppressions_AddResourceSuppressions(on, &[]*cdknag.NagPackSuppression{s}, jsii.Bool(true))
}
