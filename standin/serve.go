package standin

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Handler is a stand-in. Close ends the requests that hang.
type Handler interface {
	http.Handler
	Close()
}

// Main runs a program until it ends, or until SIGINT or SIGTERM. It prints an
// error under the program's name and exits with status 1.
func Main(name string, run func(ctx context.Context, args []string, out io.Writer) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, name+":", err)
		}
		os.Exit(1)
	}
}

// AddrFlag defines the flag for the address to listen on.
func AddrFlag(flags *flag.FlagSet) *string {
	return flags.String("addr", "localhost:0", "`host:port` to listen on; port 0 takes a free one")
}

// Serve serves h at addr until ctx ends, and closes h. When it listens, it writes
// one line of JSON to out: what ready returns for the base URL.
func Serve(ctx context.Context, addr string, h Handler, ready func(base string) any, out io.Writer) error {
	defer h.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := json.NewEncoder(out).Encode(ready(baseURL(addr, listener.Addr()))); err != nil {
		return err
	}
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	h.Close() // before Shutdown, which waits for requests that hang
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // ends the connections that remain
	}
	return err
}

// baseURL names the host as addr does, because a browser treats localhost and
// 127.0.0.1 as different sites.
func baseURL(addr string, listening net.Addr) string {
	host, _, _ := net.SplitHostPort(addr)
	if host == "" {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listening.String())
	return "http://" + net.JoinHostPort(host, port)
}

// RandomSeed returns a seed for a new process, which must not issue the tokens of
// the process before it.
func RandomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
