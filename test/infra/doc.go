// Package infra tests the templates that infra synthesises: each stack of each
// stage against its committed golden (golden_test.go), properties whose change
// would do most harm (behaviour_test.go), rules that hold for every resource of
// every stack (invariants_test.go), and access to tokens (access_test.go).
//
// Run with -update to write the goldens, and review their diff. The CDK runs in
// Node.js, so these tests need node 22 or later. They need neither AWS nor built
// functions.
package infra
