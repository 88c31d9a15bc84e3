package local

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const patience = 10 * time.Second

func shell(name, script string) spec {
	return spec{name: name, argv: []string{"sh", "-c", script}, env: []string{"PATH=" + os.Getenv("PATH")}, port: 1234}
}

func mustStart(t *testing.T, p processes, s spec) record {
	t.Helper()
	r, err := p.start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-r.PID, syscall.SIGKILL) })
	return r
}

// mustReadPID returns the number that a process writes into its log.
func mustReadPID(t *testing.T, p processes, name string) int {
	t.Helper()
	pid := 0
	if !waitUntil(t.Context(), patience, func() bool {
		text, _ := os.ReadFile(p.logPath(name))
		n, err := strconv.Atoi(strings.TrimSpace(string(text)))
		pid = n
		return err == nil
	}) {
		t.Fatalf("%s wrote no number into its log", name)
	}
	return pid
}

func runs(pid int) bool { return identity(pid) != "" }

func mustBeForgotten(t *testing.T, p processes, name string) {
	t.Helper()
	if _, err := os.Stat(p.recordPath(name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the record of %s is still there: %v", name, err)
	}
}

func TestStopEndsTheProcessAndItsChildren(t *testing.T) {
	p := processes{dir: t.TempDir(), grace: patience, killTimeout: patience}
	r := mustStart(t, p, shell("part", "sleep 1000 & echo $!; wait"))
	child := mustReadPID(t, p, "part")
	if found, err := p.find("part"); err != nil || found != r || !found.alive() {
		t.Fatalf("found %+v (%v), started %+v", found, err, r)
	}

	stopped, err := p.stop(t.Context(), "part")
	if err != nil || !stopped {
		t.Fatalf("stop: %v, %v", stopped, err)
	}
	if runs(r.PID) || runs(child) {
		t.Errorf("still running: leader %v, child %v", runs(r.PID), runs(child))
	}
	mustBeForgotten(t, p, "part")

	if stopped, err := p.stop(t.Context(), "part"); err != nil || stopped {
		t.Errorf("a second stop: %v, %v", stopped, err)
	}
}

func TestStopKillsAProcessThatIgnoresSIGTERM(t *testing.T) {
	p := processes{dir: t.TempDir(), grace: time.Millisecond, killTimeout: patience}
	r := mustStart(t, p, shell("deaf", "trap '' TERM; echo $$; while :; do sleep 1; done"))
	mustReadPID(t, p, "deaf")
	if stopped, err := p.stop(t.Context(), "deaf"); err != nil || !stopped {
		t.Fatalf("stop: %v, %v", stopped, err)
	}
	if runs(r.PID) {
		t.Error("it still runs")
	}
}

func TestStopEndsWhatACrashedProcessLeftBehind(t *testing.T) {
	p := processes{dir: t.TempDir(), grace: patience, killTimeout: patience}
	r := mustStart(t, p, shell("crashed", "sleep 1000 & echo $!; wait"))
	child := mustReadPID(t, p, "crashed")
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !waitUntil(t.Context(), patience, func() bool { return !r.alive() }) {
		t.Fatal("the leader does not exit")
	}
	if !runs(child) {
		t.Fatal("the child died with its leader: this test tests nothing")
	}
	if stopped, err := p.stop(t.Context(), "crashed"); err != nil || !stopped {
		t.Fatalf("stop: %v, %v", stopped, err)
	}
	if runs(child) {
		t.Error("the child still runs")
	}
	mustBeForgotten(t, p, "crashed")
}

// A process number is given out again some time after its process ended.
func TestStopSparesALaterProcessWithTheSamePID(t *testing.T) {
	p := processes{dir: t.TempDir(), grace: patience, killTimeout: patience}
	other := exec.Command("sleep", "1000")
	other.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })

	ours := record{PID: other.Process.Pid, Identity: "some earlier process"}
	if err := writeJSON(p.recordPath("part"), ours); err != nil {
		t.Fatal(err)
	}
	if stopped, err := p.stop(t.Context(), "part"); err != nil || stopped {
		t.Errorf("stop: %v, %v", stopped, err)
	}
	if !runs(other.Process.Pid) {
		t.Error("a process that is not ours was ended")
	}
	mustBeForgotten(t, p, "part")
}

// The number may even be that of another's process group without a leader.
func TestStopSparesAnotherProcessGroup(t *testing.T) {
	p := processes{dir: t.TempDir(), grace: patience, killTimeout: patience}
	other := exec.Command("sh", "-c", "sleep 1000 >/dev/null & echo $!")
	other.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	other.Env = []string{"PATH=" + os.Getenv("PATH"), markVariable + "=" + t.TempDir()}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(child, syscall.SIGKILL) })

	if err := writeJSON(p.recordPath("part"), record{PID: other.Process.Pid, Identity: "some earlier process"}); err != nil {
		t.Fatal(err)
	}
	if stopped, err := p.stop(t.Context(), "part"); err != nil || stopped {
		t.Errorf("stop: %v, %v", stopped, err)
	}
	if !runs(child) {
		t.Error("a process that is not ours was ended")
	}
}

func TestAliveDistinguishesProcesses(t *testing.T) {
	p := processes{dir: t.TempDir(), grace: patience, killTimeout: patience}
	r := mustStart(t, p, shell("part", "sleep 1000"))
	if !r.alive() {
		t.Error("it runs, but counts as ended")
	}
	if (record{PID: r.PID, Identity: r.Identity + "0"}).alive() {
		t.Error("another start time counts as the same process")
	}
	if (record{}).alive() || (record{PID: r.PID}).alive() {
		t.Error("a record without identity counts as running")
	}
}

func TestFingerprintChangesWithProgramArgumentsAndEnvironment(t *testing.T) {
	base := shell("part", "sleep 1000")
	changed := map[string]spec{"program": base, "argument": base, "environment": base}
	for what, s := range changed {
		switch what {
		case "program":
			s.argv = append([]string{"env"}, s.argv[1:]...)
		case "argument":
			s.argv = append(s.argv[:len(s.argv):len(s.argv)], "more")
		case "environment":
			s.env = append(s.env[:len(s.env):len(s.env)], "MORE=1")
		}
		changed[what] = s
	}
	first, err := base.fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := base.fingerprint(); err != nil || again != first {
		t.Errorf("the same spec has two fingerprints (%v)", err)
	}
	for what, s := range changed {
		if other, err := s.fingerprint(); err != nil || other == first {
			t.Errorf("another %s has the same fingerprint (%v)", what, err)
		}
	}
}

func TestWaitUntilEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if waitUntil(ctx, time.Hour, func() bool { return false }) {
		t.Error("it held")
	}
}
