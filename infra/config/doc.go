// Package config reads what a stage is told: the context `stages` of cdk.json,
// the stages chosen by `-c stage=…` or by what is built, and the overrides that a laptop needs. It
// owns the stages' shape and their checks, and knows no CDK.
package config
