// Package env turns a settings struct into environment variables and back, by
// the tag `env`. Infrastructure encodes the same struct that the function
// decodes, so the names cannot differ.
package env
