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

// run brings the cloud up, shows the requests to it until ctx ends, and takes
// it down. It also returns when somebody else has taken it down.
func (c *cloud) run(ctx context.Context) error {
	if err := c.up(ctx); err != nil {
		return err
	}
	c.progress.line("\nCtrl-C ends it. Requests:")
	following, stop := context.WithCancel(ctx)
	defer stop()
	go c.follow(following, "front")
	err := c.watch(ctx)
	stop()
	return errors.Join(err, c.down(context.WithoutCancel(ctx)))
}

// watch returns nil when ctx ends or the cloud was taken down, and an error
// when a part has ended by itself.
func (c *cloud) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		recorded := 0
		for _, name := range names {
			r, err := c.find(name)
			if err != nil {
				return err
			}
			if r.PID == 0 {
				continue
			}
			recorded++
			// While "down" works a process has ended but is still on record; its outputs went first.
			if _, err := os.Stat(c.outputsPath()); err == nil && !r.alive() {
				return fmt.Errorf("%s has ended by itself; see %s", name, c.show(c.logPath(name)))
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

// follow prints the lines that are appended to the log called name until ctx ends.
func (c *cloud) follow(ctx context.Context, name string) {
	log, err := os.Open(c.logPath(name))
	if err != nil {
		c.progress.line("cannot show %s: %v", name, err)
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
