package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var errInterrupted = errors.New("interrupted")

// cloud is one local cloud.
type cloud struct {
	settings Settings
	progress *progress
	processes
	// started are the names of the processes that this command has started.
	started []string
}

func newCloud(settings Settings) *cloud {
	return &cloud{settings: settings, progress: newProgress(os.Stdout), processes: processes{dir: settings.Dir, grace: 10 * time.Second, killTimeout: 10 * time.Second}}
}

// path returns the path of a file in the cloud's folder.
func (c *cloud) path(name string) string { return filepath.Join(c.settings.Dir, name) }

// displayPath returns path relative to the repository if it is inside.
func (c *cloud) displayPath(path string) string {
	if short, err := filepath.Rel(c.settings.Root, path); err == nil && !strings.HasPrefix(short, "..") {
		return short
	}
	return path
}

// lock takes the lock that the file at path stands for, so that one command at a
// time has it. Unless wait is set, it fails if another command has it.
func lock(ctx context.Context, path string, wait bool) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	try := func() bool {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		return err == nil
	}
	if !try() && (!wait || !waitUntil(ctx, time.Hour, try)) {
		_ = f.Close()
		return nil, fmt.Errorf("another paceline local command is running (%s: %w)", path, err)
	}
	return func() { _ = f.Close() }, nil
}

// ensure starts the process that s describes, unless it already runs, and waits
// until the URL ready responds.
func (c *cloud) ensure(ctx context.Context, s spec, ready string) (startedNow bool, err error) {
	have, err := c.find(s.name)
	if err != nil {
		return false, err
	}
	want, err := s.fingerprint()
	if err != nil {
		return false, err
	}
	if have.alive() && have.Fingerprint == want && responds(ctx, ready) {
		return false, nil
	}
	if _, err := c.stop(ctx, s.name); err != nil {
		return false, err
	}
	c.started = append(c.started, s.name)
	now, err := c.start(s)
	if err != nil {
		return false, err
	}
	up := waitUntil(ctx, time.Minute, func() bool { return !now.alive() || responds(ctx, ready) })
	if ctx.Err() != nil {
		return true, errInterrupted
	}
	if !up || !now.alive() {
		return true, fmt.Errorf("%s did not become ready; see %s", s.name, c.displayPath(c.logPath(s.name)))
	}
	return true, nil
}

// responds reports whether a GET of a URL returns status 200.
func responds(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// cleanEnv is the environment of the started processes. They, and the functions,
// which inherit the emulator's, see nothing of the developer's environment.
func (c *cloud) cleanEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + c.path("home"),
		"TMPDIR=" + c.path("tmp"),
		"LANG=C.UTF-8",
		"TZ=UTC", // as on AWS
	}
}
