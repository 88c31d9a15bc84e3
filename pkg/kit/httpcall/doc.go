// Package httpcall calls HTTP services of third parties. Calls are limited in
// time and size and follow no redirects. Errors contain nothing of the request
// or the response.
package httpcall
