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

// node is the pinned Node.js, python that of the emulator and of test/stravalib.
func (c *cloud) node() string   { return filepath.Join(c.settings.Root, "node_modules/node/bin/node") }
func (c *cloud) cdk() string    { return filepath.Join(c.settings.Root, "node_modules/.bin/cdk") }
func (c *cloud) python() string { return filepath.Join(c.venv(), "bin/python") }

// venv is shared by all clouds of a repository.
func (c *cloud) venv() string { return filepath.Join(c.settings.Root, ".local/venv") }

// needTools installs what is pinned in requirements.txt and package-lock.json,
// unless that has been done.
func (c *cloud) needTools(ctx context.Context, say func(string)) error {
	say("Node.js packages")
	if err := c.npmCI(ctx); err != nil {
		return err
	}
	say("Python packages")
	return c.pipInstall(ctx)
}

func (c *cloud) npmCI(ctx context.Context) error {
	stamp := stampFile{path: filepath.Join(c.settings.Root, "node_modules/.paceline-lock"), of: []string{filepath.Join(c.settings.Root, "package-lock.json")}}
	if fresh, err := stamp.fresh(); fresh || err != nil {
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
	stamp := stampFile{path: filepath.Join(c.venv(), "paceline-requirements"), of: []string{requirements}}
	if fresh, err := stamp.fresh(); fresh || err != nil {
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

// stampFile remembers the content that some files had when work was begun with
// them. A clone or a checkout changes times, so times are not asked.
type stampFile struct {
	path  string
	of    []string
	skip  []string // folders that do not count
	how   string   // the way the work is done
	makes []string // without which it was not done

	content string // what fresh found
}

// fresh reports whether the work has been done with what the files hold now.
func (s *stampFile) fresh() (bool, error) {
	sum, err := hashTrees(s.of, s.skip...)
	if err != nil {
		return false, fmt.Errorf("stamp %s: %w", s.path, err)
	}
	s.content = strings.TrimSpace(sum + " " + s.how)
	for _, made := range s.makes {
		if _, err := os.Stat(made); err != nil {
			return false, nil
		}
	}
	have, err := os.ReadFile(s.path)
	if err != nil && !os.IsNotExist(err) {
		return false, err
	}
	return strings.TrimSpace(string(have)) == s.content, nil
}

// write notes that the work is done with what fresh found.
func (s *stampFile) write() error { return writeFile(s.path, []byte(s.content+"\n"), 0o644) }
