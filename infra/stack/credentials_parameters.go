package stack

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/customresources"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
	"github.com/paceline/paceline/pkg/credentials/settings"
)

// Parameters below the parameter path: the application's credentials, a token pair
// for each account, and pairs of connects that could not be written to a grant.
const (
	appParameter       = "apps/strava"
	accountParameters  = "accounts/strava/*"
	receivedParameters = "received/strava/*"
	receivedPath       = "received/strava"
	sealedProvider     = "strava"
)

// allowParameters lets each function do what it needs with parameters.
func (c *Credentials) allowParameters() {
	c.allowParameter(c.serveOAuth, "GetParameter", appParameter)
	c.allowParameter(c.serveOAuth, "PutParameter", accountParameters, receivedParameters)
	c.allowParameter(c.forwardRequest, "GetParameter", appParameter, accountParameters)
	c.allowParameter(c.forwardRequest, "PutParameter", accountParameters)
	c.allowParameter(c.administerApp, "GetParameter", appParameter, linkedAppParameter)
	c.allowParameter(c.administerApp, "PutParameter", appParameter, linkedAppParameter)
	c.allowParameter(c.administerApp, "GetParameterHistory", appParameter, linkedAppParameter)
	c.allowClearing(c.administerApp)
	c.allowParameter(c.checkSubscription, "GetParameter", appParameter)
	for _, f := range []*construct.Function{c.handleEvents, c.reconcileGrants} {
		c.allowParameter(f, "GetParameter", appParameter, accountParameters)
		c.allowParameter(f, "PutParameter", accountParameters)
		c.allowParameter(f, "DeleteParameter", accountParameters)
	}
	c.allowParameter(c.reconcileGrants, "GetParametersByPath", receivedPath, receivedParameters)
	c.allowParameter(c.reconcileGrants, "DeleteParameter", receivedParameters)
	c.allowSealing(c.serveOAuth, sealedProvider, "kms:GenerateDataKey")
	for _, f := range []*construct.Function{c.forwardRequest, c.handleEvents, c.reconcileGrants} {
		c.allowSealing(f, sealedProvider, "kms:GenerateDataKey", "kms:Decrypt")
	}
}

// keyAction returns the action of KMS that Parameter Store performs with the
// caller's permissions, or "" for none (Systems Manager user guide, "AWS KMS
// encryption for Parameter Store SecureString parameters"). It encrypts a standard
// parameter with the key itself, and an advanced one with a data key. Both are
// decrypted by the same action.
func (c *Credentials) keyAction(action string) string {
	switch {
	case action == "GetParameter", action == "GetParametersByPath":
		return "kms:Decrypt"
	case action == "PutParameter" && c.config.Parameters.Tier == settings.TierAdvanced:
		return "kms:GenerateDataKey"
	case action == "PutParameter":
		return "kms:Encrypt"
	}
	return ""
}

// allowParameter allows a function one action on parameters below the boundary's
// path, and the use of the token key for just these: the encryption context holds
// the parameter's ARN.
func (c *Credentials) allowParameter(f *construct.Function, action string, names ...string) {
	var arns []*string
	for _, name := range names {
		arns = append(arns, c.parameterARN("/"+name))
		if strings.HasSuffix(name, "/*") {
			construct.Acknowledge(f.Role(), "AwsSolutions-IAM5", "Parameters of accounts are created at run time.",
				fmt.Sprintf("Resource::arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter%s/%s", c.parameterPath, name))
		}
	}
	f.Allow([]string{"ssm:" + action}, arns...)
	if a := c.keyAction(action); a != "" {
		allowKey(c.tokenKey, f, a, map[string]any{
			"StringLike": map[string]any{"kms:EncryptionContext:PARAMETER_ARN": arns},
		})
	}
}

// parameterARN returns the ARN of the boundary's path with a suffix.
func (c *Credentials) parameterARN(suffix string) *string {
	return c.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("ssm"),
		Resource:     jsii.String("parameter"),
		ResourceName: jsii.String(c.parameterPath[1:] + suffix),
	})
}

// allowClearing lets a function list and delete all parameters of the boundary. It
// can read their names and encrypted values, which it cannot decrypt.
func (c *Credentials) allowClearing(f *construct.Function) {
	f.Allow([]string{"ssm:GetParametersByPath"}, c.parameterARN(""), c.parameterARN("/*"))
	f.Allow([]string{"ssm:DeleteParameters"}, c.parameterARN("/*"))
	construct.Acknowledge(f.Role(), "AwsSolutions-IAM5", "Parameters are created at run time.",
		fmt.Sprintf("Resource::arn:<AWS::Partition>:ssm:<AWS::Region>:<AWS::AccountId>:parameter%s/*", c.parameterPath))
}

// allowSealing allows a function actions on data keys of a provider, which the
// encryption context names. They seal token pairs in the grants table.
func (c *Credentials) allowSealing(f *construct.Function, provider string, actions ...string) {
	for _, action := range actions {
		allowKey(c.tokenKey, f, action, map[string]any{
			"StringEquals": map[string]any{"kms:EncryptionContext:" + settings.SealContextKey: provider},
		})
	}
}

// newHigherThroughput turns on the higher throughput of Parameter Store for the
// account and region. Deleting the resource does not turn it off, because another
// stage may need it.
func newHigherThroughput(s awscdk.Stack, c config.Config) {
	setting := s.FormatArn(&awscdk.ArnComponents{
		Service:      jsii.String("ssm"),
		Resource:     jsii.String("servicesetting"),
		ResourceName: jsii.String("ssm/parameter-store/high-throughput-enabled"),
	})
	customresources.NewAwsCustomResource(s, jsii.String("HigherThroughput"), &customresources.AwsCustomResourceProps{
		OnUpdate: &customresources.AwsSdkCall{ // also at creation
			Service:            jsii.String("SSM"),
			Action:             jsii.String("updateServiceSetting"),
			Parameters:         map[string]any{"SettingId": setting, "SettingValue": "true"},
			PhysicalResourceId: customresources.PhysicalResourceId_Of(jsii.String("higher-throughput")),
		},
		Policy: customresources.AwsCustomResourcePolicy_FromStatements(&[]awsiam.PolicyStatement{
			awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions:   jsii.Strings("ssm:UpdateServiceSetting"),
				Resources: &[]*string{setting},
			}),
		}),
		InstallLatestAwsSdk: jsii.Bool(false),
		LogGroup:            construct.NewLogGroup(s, "HigherThroughputLogs", c),
	})
	for _, child := range *s.Node().Children() {
		if strings.HasPrefix(*child.Node().Id(), "AWS679f53fa") { // the CDK's function
			construct.Acknowledge(child, "AwsSolutions-IAM4", "The CDK adds this function and its role, and uses them only during a deployment.")
		}
	}
}
