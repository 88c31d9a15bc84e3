// Package env turns a settings struct into environment variables and back.
// Infrastructure encodes the very struct that the function decodes, so a name
// cannot differ between the two. It owns the `env` tag; it emits and consumes
// nothing.
package env
