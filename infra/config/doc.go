// Package config reads and checks the configuration of a stage: the context value
// `stages` of cdk.json, and the overrides of `-c`, which the local cloud uses. It
// does not import the CDK.
package config
