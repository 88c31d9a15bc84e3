// Package kittest has what the tests of every package need.
package kittest
