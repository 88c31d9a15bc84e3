package local

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// testCloud returns a cloud in folders of its own that writes its progress to out.
func testCloud(t *testing.T) (c *cloud, out *bytes.Buffer) {
	t.Helper()
	root := t.TempDir()
	out = &bytes.Buffer{}
	return &cloud{
		settings:  Settings{Root: root, Dir: filepath.Join(root, ".local"), Port: DefaultPort, AWSPort: DefaultAWSPort},
		progress:  &progress{out: out},
		processes: processes{dir: filepath.Join(root, ".local"), grace: patience, killTimeout: patience},
	}, out
}

func mustServeReady(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestEnsureKeepsWhatRunsAndRestartsWhatChanged(t *testing.T) {
	c, _ := testCloud(t)
	ready := mustServeReady(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.stop(context.Background(), "part") })
	ensure := func(s spec) (record, bool) {
		t.Helper()
		now, err := c.ensure(t.Context(), s, ready)
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.find("part")
		if err != nil || !r.alive() {
			t.Fatalf("it does not run: %+v, %v", r, err)
		}
		return r, now
	}

	first, now := ensure(shell("part", "sleep 1000"))
	if !now {
		t.Error("the first time it was not started")
	}
	if same, now := ensure(shell("part", "sleep 1000")); now || same != first {
		t.Error("it was restarted although nothing changed")
	}
	changed, now := ensure(shell("part", "sleep 2000"))
	if !now || changed.PID == first.PID || first.alive() {
		t.Error("it was not restarted although its arguments changed")
	}
}

func TestEnsureReportsAProcessThatExits(t *testing.T) {
	c, _ := testCloud(t)
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := c.ensure(t.Context(), shell("part", "exit 3"), "http://"+mustClosedAddress(t))
	if err == nil || !strings.Contains(err.Error(), "part did not become ready; see .local/log/part.log") {
		t.Errorf("got %v", err)
	}
}

func TestDownStopsAllProcessesAndRemovesTheOutputs(t *testing.T) {
	c, out := testCloud(t)
	if err := c.down(t.Context()); err != nil || !strings.Contains(out.String(), "nothing was running") {
		t.Errorf("without a cloud: %v, %s", err, out)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var started []record
	for _, name := range processNames {
		started = append(started, mustStart(t, c.processes, shell(name, "sleep 1000")))
	}
	if err := writeJSON(c.outputsPath(), Outputs{}); err != nil {
		t.Fatal(err)
	}
	if err := c.status(); err != nil {
		t.Errorf("status of a whole cloud: %v", err)
	}
	if err := c.down(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range started {
		if r.alive() {
			t.Errorf("process %d still runs", r.PID)
		}
	}
	if _, err := os.Stat(c.outputsPath()); !os.IsNotExist(err) {
		t.Errorf("outputs.json is still there: %v", err)
	}
	if err := c.status(); !errors.Is(err, ErrShown) {
		t.Errorf("status of no cloud: %v", err)
	}
}

func TestALockHasOneHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(t.Context(), path, false); err == nil || !strings.Contains(err.Error(), "another paceline local command is running") {
		t.Errorf("a second lock: %v", err)
	}
	waited := make(chan error, 1)
	go func() {
		unlock, err := lock(t.Context(), path, true)
		if err == nil {
			unlock()
		}
		waited <- err
	}()
	unlock()
	if err := <-waited; err != nil {
		t.Errorf("waiting for the lock: %v", err)
	}
}

func TestExecEndsAToolWithItsChildren(t *testing.T) {
	c, _ := testCloud(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.exec(ctx, tool{log: "tool", argv: []string{"sh", "-c", "sleep 1000 & echo $!; wait"}})
	}()
	child := mustReadPID(t, c.processes, "tool")
	cancel()
	if err := <-ended; !errors.Is(err, errInterrupted) {
		t.Errorf("got %v", err)
	}
	if !waitUntil(t.Context(), patience, func() bool { return !runs(child) }) {
		t.Error("the tool's child still runs")
	}
}

func TestAnErrorOfExecHasTheLastLineAndTheLog(t *testing.T) {
	c, _ := testCloud(t)
	var lines []string
	err := c.exec(t.Context(), tool{
		log:  "tool",
		argv: []string{"sh", "-c", "echo one; echo 'no such table' >&2; echo; exit 4"},
		line: func(line string) { lines = append(lines, line) },
	})
	if err == nil || err.Error() != "sh: exit status 4: no such table; see .local/log/tool.log" {
		t.Errorf("got %v", err)
	}
	if strings.Join(lines, "|") != "one|no such table|" {
		t.Errorf("lines are %q", lines)
	}
}

func TestToolsSeeNoSecretsAndNoAWSAccount(t *testing.T) {
	t.Setenv("STRAVA_CLIENT_SECRET", "hush")
	t.Setenv("FITBIT_CLIENT_SECRET", "hush")
	t.Setenv("AWS_PROFILE", "mine")
	t.Setenv("AWS_ENDPOINT_URL_SQS", "https://mine.example")
	c, _ := testCloud(t)
	for _, v := range c.awsEnv() {
		if strings.Contains(v, "hush") || strings.Contains(v, "mine") {
			t.Errorf("a tool would see %s", v)
		}
	}
	if env := strings.Join(c.cleanEnv(), " "); strings.Contains(env, "STRAVA_") || strings.Contains(env, "FITBIT_") || strings.Contains(env, "AWS_") {
		t.Errorf("a process would see %s", env)
	}
}

func TestStampComparesContentsAndNotTimes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := writeFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("in/a", "1")
	write("in/dist/b", "1")
	s := stampFile{path: filepath.Join(dir, "stamp"), inputs: []string{filepath.Join(dir, "in")}, skip: []string{"dist"}}
	expect := func(want bool, when string) {
		t.Helper()
		if got, err := s.upToDate(); err != nil || got != want {
			t.Errorf("%s: up to date: %v, %v", when, got, err)
		}
	}
	expect(false, "without a stamp")
	write("in/a", "0") // while the work goes on
	if err := s.write(); err != nil {
		t.Fatal(err)
	}
	expect(false, "after a change during the work")
	write("in/a", "1")
	expect(true, "after the work")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "in/a"), later, later); err != nil {
		t.Fatal(err)
	}
	expect(true, "after a new checkout")
	otherwise := s
	otherwise.variant = "another variant"
	if got, err := otherwise.upToDate(); err != nil || got {
		t.Errorf("for another variant: up to date: %v, %v", got, err)
	}
	s.outputs = []string{filepath.Join(dir, "out")}
	expect(false, "without what was made")
	write("out", "1")
	expect(true, "with what was made")
	write("in/dist/b", "2")
	expect(true, "after a change in a skipped folder")
	write("in/a", "2")
	expect(false, "after a change")
	write("in/a", "1")
	write("in/c", "1")
	expect(false, "after a new file")
}

func TestCredentialsAreGeneratedOnce(t *testing.T) {
	c, _ := testCloud(t)
	secrets := map[string]bool{}
	for file, of := range map[string]struct {
		application func() (application, error)
		id          string
	}{
		"client-secret":        {c.application, defaultClientID},
		"fitbit-client-secret": {c.fitbitApplication, defaultFitbitClientID},
	} {
		first, err := of.application()
		if err != nil {
			t.Fatal(err)
		}
		again, err := of.application()
		if err != nil {
			t.Fatal(err)
		}
		if first.id != of.id || len(first.secret.Reveal()) != 40 || !first.secret.Equal(again.secret) {
			t.Errorf("generated %s and %s, secrets of length %d", first.id, again.id, len(first.secret.Reveal()))
		}
		secrets[first.secret.Reveal()] = true
		info, err := os.Stat(c.path(file))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	if len(secrets) != 2 {
		t.Error("both applications have one secret")
	}
}
