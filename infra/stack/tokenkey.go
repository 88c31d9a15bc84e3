package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/jsii-runtime-go"
	"github.com/paceline/paceline/infra/config"
	"github.com/paceline/paceline/infra/construct"
)

// newTokenKey makes the KMS key that encrypts tokens and the application's
// credentials, and its alias. Only the key's own policy can allow its use. The
// account may administer the key, but no IAM policy, not even an
// administrator's, can grant its use: to read tokens, one must first change the
// key's policy, which CloudTrail records.
func newTokenKey(s awscdk.Stack, c config.Config) awskms.Key {
	policy := awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
		Statements: &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Sid:        jsii.String("AdministerButNeverUse"),
			Principals: &[]awsiam.IPrincipal{awsiam.NewAccountRootPrincipal()},
			Actions: jsii.Strings(
				"kms:DescribeKey", "kms:UpdateKeyDescription", "kms:EnableKey", "kms:DisableKey",
				"kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:ListKeyPolicies",
				"kms:GetKeyRotationStatus", "kms:EnableKeyRotation", "kms:DisableKeyRotation",
				"kms:ListResourceTags", "kms:TagResource", "kms:UntagResource",
				"kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
				"kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias",
			),
			Resources: thisKey(),
		})},
	})
	key := awskms.NewKey(s, jsii.String("TokenKey"), &awskms.KeyProps{
		Description:       jsii.String("Encrypts Strava tokens and application credentials in Parameter Store"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     construct.RemovalPolicy(c),
		Policy:            policy,
	})
	// The alias is deleted with the stack even where the key is retained, since it
	// would block the stage's next deployment.
	awskms.NewAlias(s, jsii.String("TokenKeyAlias"), &awskms.AliasProps{
		AliasName:     jsii.String("alias/paceline-" + string(c.Stage) + "-tokens"),
		TargetKey:     key,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	return key
}

// thisKey returns the resource that means the key itself in a key's policy (KMS
// developer guide, "Key policies").
func thisKey() *[]*string { return jsii.Strings("*") }

// allowKey allows a function one action on a key.
func allowKey(key awskms.Key, f *construct.Function, action string, conditions map[string]any) {
	statement := &awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{f.Role()},
		Actions:    jsii.Strings(action),
		Resources:  thisKey(),
	}
	if conditions != nil {
		statement.Conditions = &conditions
	}
	key.AddToResourcePolicy(awsiam.NewPolicyStatement(statement), nil)
}
