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
// children, since the emulator passes it to the functions. It identifies our
// processes after their group's leader has exited.
const markVariable = "PACELINE_LOCAL_DIR"

// spec describes a process that outlives the command that starts it.
type spec struct {
	name string // also names the record and the log
	argv []string
	env  []string
	port int // that it listens on
}

// fingerprint changes with the program, its arguments and its environment.
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

// record identifies a started process.
type record struct {
	PID int `json:"pid"`
	// Identity differs from that of a later process with the same PID.
	Identity    string `json:"identity"`
	Fingerprint string `json:"fingerprint"`
	Port        int    `json:"port"`
}

// alive reports whether the recorded process still runs.
func (r record) alive() bool { return r.Identity != "" && identity(r.PID) == r.Identity }

// processes starts, recognises and stops the processes of one cloud.
type processes struct {
	dir string
	// grace is how long a process may take to exit after SIGTERM.
	grace time.Duration
	// killTimeout is how long killed processes may take to disappear.
	killTimeout time.Duration
}

func (p processes) recordPath(name string) string { return filepath.Join(p.dir, "run", name+".json") }

// logPath is the log of the process or tool called name.
func (p processes) logPath(name string) string { return filepath.Join(p.dir, "log", name+".log") }

// find returns the record of the process called name, which may have exited. It
// returns the zero record if there is none.
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
		return record{}, fmt.Errorf("decode %s: %w", p.recordPath(name), err)
	}
	return r, nil
}

// start starts s and records it. The process has a session of its own, so that
// Ctrl-C at the terminal does not reach it.
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
	go func() { _ = cmd.Wait() }() // or it would stay as a zombie of this process
	if err := writeJSON(p.recordPath(s.name), r); err != nil {
		_ = syscall.Kill(-r.PID, syscall.SIGKILL)
		return record{}, err
	}
	return r, nil
}

// stop stops the process called name and its children, and removes its record.
// It spares a process that has got the same PID since.
func (p processes) stop(ctx context.Context, name string) (stopped bool, err error) {
	r, err := p.find(name)
	if err != nil || r.PID == 0 {
		return false, err
	}
	if r.alive() {
		stopped = true
		// Only the leader: the emulator stops its functions itself.
		if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, fmt.Errorf("stop %s (process %d): %w", name, r.PID, err)
		}
		if !waitUntil(ctx, p.grace, func() bool { return !r.alive() }) {
			_ = syscall.Kill(r.PID, syscall.SIGKILL)
		}
	}
	// Its remaining children are in the process group with its number.
	gone := waitUntil(ctx, p.killTimeout, func() bool {
		left := groupMembers(r.PID, markVariable+"="+p.dir)
		for _, pid := range left {
			stopped = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
	if !gone {
		return stopped, fmt.Errorf("%s (process group %d) does not exit", name, r.PID)
	}
	return stopped, os.Remove(p.recordPath(name))
}

// waitUntil polls done until it holds, which it reports, or the timeout or ctx
// ends.
func waitUntil(ctx context.Context, timeout time.Duration, done func() bool) bool {
	deadline := time.NewTimer(timeout)
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
