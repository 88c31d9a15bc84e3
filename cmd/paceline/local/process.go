package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// markVariable is in the environment of every process of a cloud and of its
// children (the emulator hands it on to the functions). It tells our
// processes from others once the process that led them is gone.
const markVariable = "PACELINE_LOCAL_DIR"

// spec describes a process that outlives the command which starts it.
type spec struct {
	name string // also names the record and the log
	argv []string
	env  []string
	port int // that it listens on
}

// fingerprint changes when the program or the way it is started changes.
func (s spec) fingerprint() (string, error) {
	path, err := exec.LookPath(s.argv[0])
	if err != nil {
		return "", err
	}
	program, err := hashFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(append(append([]string{program}, s.argv...), s.env...), "\x00")))
	return hex.EncodeToString(sum[:]), nil
}

// record is what is kept of a started process.
type record struct {
	PID int `json:"pid"`
	// Identity tells this process from a later one with the same PID.
	Identity    string `json:"identity"`
	Fingerprint string `json:"fingerprint"`
	Port        int    `json:"port"`
}

// alive reports whether the very process that was recorded still runs.
func (r record) alive() bool { return r.Identity != "" && identity(r.PID) == r.Identity }

// processes starts, recognises and ends the processes of one cloud.
type processes struct {
	dir string
	// patience is how long a process may take to end by itself.
	patience time.Duration
}

func (p processes) recordPath(name string) string { return filepath.Join(p.dir, "run", name+".json") }

// logPath is where a process or a tool called name writes.
func (p processes) logPath(name string) string { return filepath.Join(p.dir, "log", name+".log") }

// find returns the record of the process called name, which may have ended
// meanwhile. Without one it returns the zero record.
func (p processes) find(name string) (record, error) {
	data, err := os.ReadFile(p.recordPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("read %s: %w", p.recordPath(name), err)
	}
	return r, nil
}

// start starts s in a session of its own, so that a Ctrl-C at the terminal
// does not reach it, and records it.
func (p processes) start(s spec) (record, error) {
	fingerprint, err := s.fingerprint()
	if err != nil {
		return record{}, err
	}
	log, err := createLog(p.logPath(s.name))
	if err != nil {
		return record{}, err
	}
	defer log.Close()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Env = append(s.env, markVariable+"="+p.dir)
	cmd.Dir = p.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return record{}, fmt.Errorf("start %s: %w", s.name, err)
	}
	r := record{PID: cmd.Process.Pid, Identity: identity(cmd.Process.Pid), Fingerprint: fingerprint, Port: s.port}
	go func() { _ = cmd.Wait() }() // so that it does not stay as a zombie while we live
	if err := writeJSON(p.recordPath(s.name), r); err != nil {
		_ = syscall.Kill(-r.PID, syscall.SIGKILL)
		return record{}, err
	}
	return r, nil
}

// stop ends the process called name and its children, and forgets it. A PID
// that meanwhile belongs to something else is left alone.
func (p processes) stop(ctx context.Context, name string) (stopped bool, err error) {
	r, err := p.find(name)
	if err != nil || r.PID == 0 {
		return false, err
	}
	if r.alive() {
		stopped = true
		// The leader first: the emulator ends its functions itself.
		if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, fmt.Errorf("end %s (process %d): %w", name, r.PID, err)
		}
		if !waitUntil(ctx, p.patience, func() bool { return !r.alive() }) {
			_ = syscall.Kill(r.PID, syscall.SIGKILL)
		}
	}
	// What it left behind is in the process group that has its number.
	gone := waitUntil(ctx, p.patience, func() bool {
		left := groupMembers(r.PID, markVariable+"="+p.dir)
		for _, pid := range left {
			stopped = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
	if !gone {
		return stopped, fmt.Errorf("%s (process group %d) does not end", name, r.PID)
	}
	return stopped, os.Remove(p.recordPath(name))
}

// waitUntil polls done until it holds, patience runs out or ctx ends.
func waitUntil(ctx context.Context, patience time.Duration, done func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
	return true
}
