package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrShown marks an error that is already printed.
var ErrShown = errors.New("already shown")

// progress prints the steps of a command, one line each.
type progress struct {
	out  io.Writer
	live bool // out is a terminal, and the line of the running step is rewritten
	mu   sync.Mutex
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, live: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// step runs f and prints its name, its result and its duration. f may report what
// it is doing, and returns a detail to print, which may be empty.
func (p *progress) step(name string, f func(report func(string)) (string, error)) error {
	began := time.Now()
	report := func(note string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.live {
			fmt.Fprintf(p.out, "\r\x1b[K… %-9s %5.1fs  %s", name, time.Since(began).Seconds(), clip(note, 60))
		}
	}
	report("")
	detail, err := f(report)
	mark := "✓"
	if err != nil {
		mark, detail = "✗", oneLine(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf("%s %-9s %5.1fs  %s", mark, name, time.Since(began).Seconds(), detail), " "))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrShown, err)
	}
	return nil
}

// line prints one line.
func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
