// Package settings declares the environment variables of the gathering
// functions, and the names that they share with the infrastructure.
package settings
