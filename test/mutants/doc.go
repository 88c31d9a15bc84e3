// Command mutants puts deliberate faults into the code, one at a time, and
// checks that a test notices each. If no test notices a fault, either the code is
// unnecessary and should be deleted, or a test is missing.
//
// The faults are in table_*.go. Each names what it
// breaks and for whom, the text that it replaces, and the packages whose tests
// notice it. No file is changed: the tests are built with an overlay.
//
// `make prove` runs all of them. `go run ./test/mutants WORD…` runs those whose
// id contains one of the words. The tests of this package check that every
// fault can still be applied to today's code.
package main
