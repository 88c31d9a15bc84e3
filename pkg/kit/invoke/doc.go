// Package invoke calls Lambda functions and waits for their answers.
package invoke
