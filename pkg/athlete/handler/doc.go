// Package handler is how AWS reaches the athlete plane: the HTTP API's
// requests and the bus's events, in; the API's answers, out.
package handler
