// Package local runs all of Paceline on one machine: the AWS emulator
// ministack, the stacks of infra deployed onto it by the CDK CLI, stand-ins for
// Strava and Fitbit, and the site with the API behind one origin, as CloudFront
// serves them on AWS.
//
// Owns: the cloud's folder (.local unless told otherwise) with its logs, its
// process records and outputs.json; and the processes it started. What it
// starts it can recognise later, and it never ends anything else.
//
// Emits: outputs.json, the addresses of the running cloud.
//
// Consumes: the environment variables of [FromEnv]; the repository's pinned
// tools (requirements.txt, package-lock.json), functions, infra and web; the
// admin commands of this same program, by which the Strava application's
// credentials and the push subscription get in.
package local
