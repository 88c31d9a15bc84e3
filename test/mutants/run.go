package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// runner runs the tests of a repository.
type runner struct {
	root string
	// limit bounds the tests of one package. A fault may make them hang.
	limit time.Duration
	// temp is an empty folder.
	temp string
}

// outcome is what the tests made of a mutant.
type outcome struct {
	// noticed names the package and the test that failed; empty for a survivor.
	noticed string
	took    time.Duration
	// seeds is how many seeds the simulation needed; 0 if another test noticed the
	// mutant.
	seeds int
}

// errBuild means that the code does not compile, so that no test ran.
var errBuild = errors.New("the code does not compile")

// run runs the tests that should notice the mutant, until one does.
func (r runner) run(ctx context.Context, m mutant) (outcome, error) {
	overlay, err := r.overlay(m)
	if err != nil {
		return outcome{}, err
	}
	began := time.Now()
	for _, by := range m.suites() {
		failed, seeds, err := r.test(ctx, by, "-overlay="+overlay)
		if err != nil {
			return outcome{}, fmt.Errorf("%s: %w", m.id, err)
		}
		if failed != "" {
			return outcome{noticed: failed, took: time.Since(began), seeds: seeds}, nil
		}
	}
	return outcome{took: time.Since(began)}, nil
}

// overlay writes the mutated file and the overlay that puts it in place, and
// returns the overlay's path.
func (r runner) overlay(m mutant) (string, error) {
	path, mutated, err := m.apply(r.root)
	if err != nil {
		return "", err
	}
	base := filepath.Join(r.temp, strings.ReplaceAll(m.id, "/", "_"))
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: base + ".go"}})
	if err != nil {
		return "", err
	}
	return base + ".json", errors.Join(os.WriteFile(base+".go", mutated, 0o600), os.WriteFile(base+".json", overlay, 0o600))
}

// test runs tests of a package, as [mutant] names them, until one fails. failed
// names it; empty if all pass. seeds is as in [outcome].
func (r runner) test(ctx context.Context, by string, flags ...string) (failed string, seeds int, _ error) {
	pkg, pattern, _ := strings.Cut(by, " ")
	args := append([]string{"test", "-json", "-vet=off", "-failfast", "-timeout=" + r.limit.String()}, flags...)
	if pattern != "" {
		args = append(args, "-run="+pattern)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = r.root
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	exit := cmd.Run()
	if exit == nil {
		return "", 0, nil
	}
	if notExit := (*exec.ExitError)(nil); !errors.As(exit, &notExit) || ctx.Err() != nil {
		return "", 0, errors.Join(exit, ctx.Err())
	}
	test, seeds, err := firstFailure(out.Bytes())
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w\n%s%s", pkg, err, text(out.Bytes()), errs.String())
	}
	return strings.TrimSpace(pkg + " " + test), seeds, nil
}

// event is a line of `go test -json`.
type event struct {
	Action, Test, Output, FailedBuild string
}

// atSeed is how the simulation says which of its seeds failed. It tries them in
// order, from 1.
var atSeed = regexp.MustCompile(`\bfailed at seed ([0-9]+)\b`)

// running is the line of the output of a test that hung until its time limit.
var running = regexp.MustCompile(`^\t\t(Test\S+) \([0-9.hm]+s\)`)

// firstFailure returns the first test that failed by the output of `go test
// -json`, and the seed at which it did. The test is empty if the process ended
// outside of any.
func firstFailure(out []byte) (test string, seed int, _ error) {
	ended := false
	for line := range bytes.Lines(out) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		if found := atSeed.FindStringSubmatch(e.Output); found != nil && seed == 0 {
			seed, _ = strconv.Atoi(found[1])
		}
		if hung := running.FindStringSubmatch(e.Output); hung != nil && test == "" {
			test = hung[1]
		}
		switch {
		case e.FailedBuild != "":
			return "", 0, errBuild
		case e.Action == "fail":
			ended = true
			if test == "" {
				test = e.Test
			}
		}
	}
	if !ended {
		return "", 0, errors.New("no test ran")
	}
	return test, seed, nil
}

// text returns what the tests and the compiler printed.
func text(out []byte) string {
	var b strings.Builder
	for line := range bytes.Lines(out) {
		var e event
		if json.Unmarshal(line, &e) == nil {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}
