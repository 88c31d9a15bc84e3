// Package startup has the first steps of every function's main: it reads the
// settings, loads the AWS configuration, and supplies the domain with real
// time, ids and secrets.
package startup
