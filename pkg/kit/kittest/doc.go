// Package kittest has the helpers that the tests of several packages share.
package kittest
