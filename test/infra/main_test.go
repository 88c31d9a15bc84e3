package infra

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/jsii-runtime-go"
)

// root of the repository, as seen from this package.
const root = "../.."

func TestMain(m *testing.M) {
	if err := useNode(); err != nil {
		fmt.Fprintln(os.Stderr, "test/infra: "+err.Error())
		os.Exit(1)
	}
	code := m.Run()
	jsii.Close()
	os.RemoveAll(workDir)
	os.Exit(code)
}

// useNode makes the CDK run in the Node.js that package-lock.json pins, or else in
// the one on the PATH. The CDK looks for node while Go initialises packages, so
// the tests restart themselves if the PATH leads to another one.
func useNode() error {
	const remedy = "run `npm ci`, or put node 22 or later on the PATH"
	found, _ := exec.LookPath("node")
	node, err := filepath.Abs(filepath.Join(root, "node_modules/node/bin/node"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(node); err != nil {
		node = found
	}
	if node == "" {
		return errors.New("Node.js is missing: " + remedy)
	}
	out, err := exec.Command(node, "--version").Output()
	if err != nil {
		return fmt.Errorf("%s --version: %w: %s", node, err, remedy)
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 22 {
		return fmt.Errorf("%s is Node.js %s: %s", node, version, remedy)
	}
	if node == found {
		return nil
	}
	jsii.Close()
	if err := os.Setenv("PATH", filepath.Dir(node)+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
