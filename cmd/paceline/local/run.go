package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// run starts the cloud, prints its requests until ctx ends, and stops it. It also
// returns when another command has stopped the cloud.
func (c *cloud) run(ctx context.Context) error {
	if err := c.up(ctx); err != nil {
		return err
	}
	c.progress.line("\nPress Ctrl-C to stop. Requests:")
	following, stop := context.WithCancel(ctx)
	defer stop()
	go c.follow(following, edge)
	err := c.watch(ctx)
	stop()
	return errors.Join(err, c.down(context.WithoutCancel(ctx)))
}

// watch returns nil when ctx ends or another command has stopped the cloud, and
// an error when a process has exited.
func (c *cloud) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		recorded := 0
		for _, name := range processNames {
			r, err := c.find(name)
			if err != nil {
				return err
			}
			if r.PID == 0 {
				continue
			}
			recorded++
			// The down command removes the outputs before it stops processes.
			if _, err := os.Stat(c.outputsPath()); err == nil && !r.alive() {
				return fmt.Errorf("%s has exited; see %s", name, c.displayPath(c.logPath(name)))
			}
		}
		if recorded == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow prints the lines that are appended to a log until ctx ends.
func (c *cloud) follow(ctx context.Context, name string) {
	log, err := os.Open(c.logPath(name))
	if err != nil {
		c.progress.line("cannot show the log of %s: %v", name, err)
		return
	}
	defer log.Close()
	_, _ = log.Seek(0, io.SeekEnd)
	reader := bufio.NewReader(log)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	line := ""
	for {
		text, err := reader.ReadString('\n')
		line += text
		if err == nil {
			c.progress.line("  %s", line[:len(line)-1])
			line = ""
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
