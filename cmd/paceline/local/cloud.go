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

// cloud is one local cloud and what its commands share.
type cloud struct {
	settings Settings
	progress *progress
	processes
	// started names the processes this command has started.
	started []string
}

func newCloud(settings Settings) *cloud {
	return &cloud{settings: settings, progress: newProgress(os.Stdout), processes: processes{dir: settings.Dir, patience: 10 * time.Second}}
}

// path is a file of the cloud's folder.
func (c *cloud) path(name string) string { return filepath.Join(c.settings.Dir, name) }

// show shortens a path for people who stand in the repository's folder.
func (c *cloud) show(path string) string {
	if short, err := filepath.Rel(c.settings.Root, path); err == nil && !strings.HasPrefix(short, "..") {
		return short
	}
	return path
}

// lock makes sure that one command at a time works on what the file stands for.
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
		return nil, fmt.Errorf("another paceline local command is at work (%s: %w)", path, err)
	}
	return func() { _ = f.Close() }, nil
}

// ensure keeps the process that s describes when it runs already, and
// otherwise starts it and waits until ready answers.
func (c *cloud) ensure(ctx context.Context, s spec, ready string) (startedNow bool, err error) {
	have, err := c.find(s.name)
	if err != nil {
		return false, err
	}
	want, err := s.fingerprint()
	if err != nil {
		return false, err
	}
	if have.alive() && have.Fingerprint == want && answers(ctx, ready) {
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
	up := waitUntil(ctx, time.Minute, func() bool { return !now.alive() || answers(ctx, ready) })
	if ctx.Err() != nil {
		return true, errInterrupted
	}
	if !up || !now.alive() {
		return true, fmt.Errorf("%s did not get ready; see %s", s.name, c.show(c.logPath(s.name)))
	}
	return true, nil
}

// answers reports whether an HTTP GET of address succeeds.
func answers(ctx context.Context, address string) bool {
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

// cleanEnv is the environment of the processes that stay: they, and the
// functions which inherit the emulator's, get nothing of a person's own.
func (c *cloud) cleanEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + c.path("home"),
		"TMPDIR=" + c.path("tmp"),
		"LANG=C.UTF-8",
		"TZ=UTC", // as on AWS
	}
}
