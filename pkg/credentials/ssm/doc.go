// Package ssm keeps the boundary's secrets as SSM SecureStrings under the
// dedicated KMS key.
//
// Parameters: <path>/apps/<provider> for the registration with a provider, and
// <path>/accounts/<provider>/<id> for an account's token pair. SSM numbers the
// versions of a parameter and keeps the last hundred, so a write destroys
// nothing; see the package comment of credentials for how that is used.
package ssm
