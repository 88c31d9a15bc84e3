// Package ssm keeps the boundary's secrets as SSM SecureStrings under the
// dedicated KMS key.
//
// Parameters: <path>/apps/<provider> for the registration with a provider,
// <path>/accounts/<provider>/<id>/<generation> for an account's token pair, and
// <path>/received/<provider>/<id>/<connect> for the pair of a connect that
// could not be written to its grant. SSM numbers the versions of a parameter
// and keeps the last hundred, so a write destroys nothing; see the package
// comment of credentials for how that is used. The generation is part of the
// name because SSM asks for 30 seconds between deleting a parameter and
// creating it again (Systems Manager user guide, "Deleting Parameter Store
// parameters"): within them, reads may show the deleted one.
package ssm
