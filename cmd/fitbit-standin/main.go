package main

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

	"github.com/paceline/paceline/standin/fitbit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "fitbit-standin:", err)
		}
		os.Exit(1)
	}
}

// serve runs the stand-in until ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fitbit-standin", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:0", "`host:port` to listen on; port 0 takes a free one")
	limit := flags.Int("hourly-limit", 150, "calls an hour for each person")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *limit < 1 {
		return errors.New("--hourly-limit must be at least 1, and there are no other arguments")
	}

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *addr, err)
	}
	stand := fitbit.New(fitbit.Config{
		// A new process must not issue the tokens of the one before.
		Seed:         randomSeed(),
		ClientID:     os.Getenv("FITBIT_CLIENT_ID"),
		ClientSecret: os.Getenv("FITBIT_CLIENT_SECRET"),
		HourlyLimit:  *limit,
	})
	server := &http.Server{Handler: stand, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	id, _ := stand.Client()
	if err := json.NewEncoder(out).Encode(ready(*addr, listener.Addr(), id)); err != nil {
		return err
	}
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	stand.Close() // first, since it ends requests that hang
	grace, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // connections that would not end in time
	}
	return err
}

// ready is the line that says where everything is. It names the host as given,
// so that a browser sees localhost and not 127.0.0.1.
func ready(addr string, listening net.Addr, clientID string) any {
	host, _, _ := net.SplitHostPort(addr)
	if host == "" {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listening.String())
	base := "http://" + net.JoinHostPort(host, port)
	return struct {
		Site     string `json:"site"`
		API      string `json:"api"`
		Control  string `json:"control"`
		ClientID string `json:"client_id"`
	}{base, base, base + "/control", clientID}
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
