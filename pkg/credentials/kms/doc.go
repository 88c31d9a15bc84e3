// Package kms seals token pairs under the dedicated symmetric key.
package kms
