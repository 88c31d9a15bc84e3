// Package infra tests the templates that infra synthesises: each stack of each
// stage against a committed golden (golden_test.go), what would hurt most if
// it changed unnoticed (behaviour_test.go), and what must hold for every
// resource of every stack (invariants_test.go).
//
// Run with -update to write the goldens, and review their diff.
// The CDK runs in Node.js, so these tests need node, 22 or later; they need
// neither AWS nor built functions.
package infra
