package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// node is the pinned Node.js, python the one that runs the emulator and
// test/stravalib.
func (c *cloud) node() string   { return filepath.Join(c.settings.Root, "node_modules/node/bin/node") }
func (c *cloud) cdk() string    { return filepath.Join(c.settings.Root, "node_modules/.bin/cdk") }
func (c *cloud) python() string { return filepath.Join(c.venv(), "bin/python") }

// venv is shared by all clouds of a repository.
func (c *cloud) venv() string { return filepath.Join(c.settings.Root, ".local/venv") }

// installTools installs the packages that requirements.txt and package-lock.json
// pin, unless they are installed.
func (c *cloud) installTools(ctx context.Context, report func(string)) error {
	report("Node.js packages")
	if err := c.npmCI(ctx); err != nil {
		return err
	}
	report("Python packages")
	return c.pipInstall(ctx)
}

func (c *cloud) npmCI(ctx context.Context) error {
	stamp := stampFile{path: filepath.Join(c.settings.Root, "node_modules/.paceline-lock"), inputs: []string{filepath.Join(c.settings.Root, "package-lock.json")}}
	if fresh, err := stamp.upToDate(); fresh || err != nil {
		return err
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("npm is missing; install Node.js 20.19 or later (Debian: apt-get install nodejs npm)")
	}
	if err := c.exec(ctx, tool{log: "npm", argv: []string{"npm", "ci", "--no-audit", "--no-fund"}}); err != nil {
		return err
	}
	return stamp.write()
}

func (c *cloud) pipInstall(ctx context.Context) error {
	requirements := filepath.Join(c.settings.Root, "requirements.txt")
	stamp := stampFile{path: filepath.Join(c.venv(), "paceline-requirements"), inputs: []string{requirements}}
	if fresh, err := stamp.upToDate(); fresh || err != nil {
		return err
	}
	if _, err := exec.LookPath("python3"); err != nil {
		return errors.New("python3 is missing; install Python 3.11 or later (Debian: apt-get install python3 python3-venv)")
	}
	if _, err := c.output(ctx, tool{argv: []string{"python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"}}); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return errors.New("python3 lacks venv or is older than 3.11; install both (Debian: apt-get install python3-venv)")
	}
	if err := os.RemoveAll(c.venv()); err != nil {
		return err
	}
	if err := c.exec(ctx, tool{log: "venv", argv: []string{"python3", "-m", "venv", c.venv()}}); err != nil {
		return err
	}
	pip := []string{c.python(), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--require-hashes", "-r", requirements}
	if err := c.exec(ctx, tool{log: "pip", argv: pip}); err != nil {
		return err
	}
	return stamp.write()
}

// stampFile records that some work was done, and the content of its inputs when
// it began. It compares contents, because a clone or a checkout changes times.
type stampFile struct {
	path    string
	inputs  []string
	skip    []string // names of folders that are no inputs
	variant string   // how the work is done
	outputs []string // files that the work makes

	content string // what upToDate found
}

// upToDate reports whether the work was done with the present inputs.
func (s *stampFile) upToDate() (bool, error) {
	sum, err := hashTrees(s.inputs, s.skip...)
	if err != nil {
		return false, fmt.Errorf("stamp %s: %w", s.path, err)
	}
	s.content = strings.TrimSpace(sum + " " + s.variant)
	for _, output := range s.outputs {
		if _, err := os.Stat(output); err != nil {
			return false, nil
		}
	}
	have, err := os.ReadFile(s.path)
	if err != nil && !os.IsNotExist(err) {
		return false, err
	}
	return strings.TrimSpace(string(have)) == s.content, nil
}

// write records that the work is done with the inputs that upToDate found.
func (s *stampFile) write() error { return writeFile(s.path, []byte(s.content+"\n"), 0o644) }
