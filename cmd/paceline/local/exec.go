package local

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tool is one run of a program.
type tool struct {
	log  string // the name of its log
	argv []string
	env  []string // the whole environment; nil means toolEnv
	// stdin is what the program reads; it is never logged.
	stdin string
	// line, if set, is called with every line of output.
	line func(string)
}

// exec runs t in the repository's folder. When ctx ends, it ends the tool and all
// its children. The error holds the last line of output and names the log.
func (c *cloud) exec(ctx context.Context, t tool) error {
	log, err := createLog(c.logPath(t.log))
	if err != nil {
		return err
	}
	defer log.Close()
	reader, writer := io.Pipe()
	last := make(chan string)
	go func() {
		text := ""
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			if t.line != nil {
				t.line(lines.Text())
			}
			if line := strings.TrimSpace(lines.Text()); line != "" {
				text = line
			}
		}
		_, _ = io.Copy(io.Discard, reader) // a line beyond the scanner's limit must not block the tool
		last <- text
	}()
	cmd := c.command(ctx, t)
	out := io.MultiWriter(log, writer)
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	_ = writer.Close()
	words := <-last
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s; see %s", filepath.Base(t.argv[0]), err, clip(words, 200), c.displayPath(c.logPath(t.log)))
	}
	return nil
}

// output runs t and returns its standard output. Standard error is in the error.
func (c *cloud) output(ctx context.Context, t tool) ([]byte, error) {
	var out, complaint bytes.Buffer
	cmd := c.command(ctx, t)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(t.argv[0]), strings.Join(t.argv[1:], " "),
			ended(ctx, err), strings.TrimSpace(complaint.String()))
	}
	return out.Bytes(), nil
}

func (c *cloud) command(ctx context.Context, t tool) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.argv[0], t.argv[1:]...)
	cmd.Dir = c.settings.Root
	cmd.Env = t.env
	if cmd.Env == nil {
		cmd.Env = c.toolEnv()
	}
	cmd.Stdin = strings.NewReader(t.stdin)
	// The group lets the end of ctx, such as by Ctrl-C, end the children, too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// ended returns errInterrupted if ctx has ended, since "signal: terminated" would
// explain less.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// toolEnv is this process's environment without secrets and AWS settings, and with
// the pinned Node.js first in the path.
func (c *cloud) toolEnv() []string {
	env := []string{"PATH=" + filepath.Dir(c.node()) + string(os.PathListSeparator) + os.Getenv("PATH")}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if name == "PATH" || name == "STRAVA_CLIENT_SECRET" || name == "FITBIT_CLIENT_SECRET" || strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "CDK_") {
			continue
		}
		env = append(env, v)
	}
	return env
}

// awsEnv is toolEnv with the settings of AWS clients of the local cloud.
func (c *cloud) awsEnv() []string {
	return append(c.toolEnv(),
		"AWS_ENDPOINT_URL="+c.settings.awsLoopback(),
		"AWS_ENDPOINT_URL_S3="+c.settings.awsLoopback(),
		"AWS_ACCESS_KEY_ID="+AccessKeyID,
		"AWS_SECRET_ACCESS_KEY="+SecretKey,
		"AWS_REGION="+Region,
		"AWS_DEFAULT_REGION="+Region,
		// No settings of the developer's AWS account.
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
		"NO_PROXY=localhost,127.0.0.1",
		"no_proxy=localhost,127.0.0.1",
	)
}
