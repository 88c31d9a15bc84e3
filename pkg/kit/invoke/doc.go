// Package invoke calls Lambda functions and waits for their responses.
package invoke
