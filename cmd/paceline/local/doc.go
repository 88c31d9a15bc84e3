// Package local runs all of Paceline on one machine: the AWS emulator
// ministack, the stacks of infra, which the CDK CLI deploys onto it, stand-ins
// for Strava and Fitbit, and an edge proxy that serves the site and the API on
// one origin, as CloudFront does on AWS.
//
// Owns: the cloud's folder (.local by default) with its logs, process records
// and outputs.json, and the processes it started. It recognises those later by
// their records, and stops no other process.
//
// Writes: outputs.json, the addresses of the running cloud.
//
// Consumes: the environment variables of [FromEnv]; the repository's pinned
// tools (requirements.txt, package-lock.json), functions, infra and web; and
// this program's own admin commands, which set the applications' credentials
// and the push subscription.
package local
