// Package config reads what a stage is told: the context `stages` of cdk.json,
// the stage chosen by `-c stage=…`, and the overrides that a laptop needs. It
// owns the stages' shape and their checks, and knows no CDK.
package config
