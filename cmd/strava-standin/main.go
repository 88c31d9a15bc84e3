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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/paceline/paceline/standin/strava"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := serve
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "ctl" {
		run, args = control, args[1:]
	}
	if err := run(ctx, args, os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "strava-standin:", err)
		}
		os.Exit(1)
	}
}

// defaultAthletes live here when neither a history nor a number is given.
const defaultAthletes = 10

// serve runs the stand-in until ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("strava-standin", flag.ContinueOnError)
	addr := flags.String("addr", "localhost:0", "`host:port` to listen on; port 0 takes a free one")
	history := flags.String("history", os.Getenv("STRAVA_HISTORY"), "`file` with a JSON array of SummaryActivity (env STRAVA_HISTORY)")
	seed := flags.Uint64("seed", 1, "seed of the generated athletes")
	athletes := flags.Int("athletes", -1, "number of generated athletes (default 10, or none with a history)")
	domain := flags.String("callback-domain", "localhost", "domain that redirect URIs must be in")
	silent := flags.Bool("silent-revoke", false, "send no deauthorization event when the application itself revokes")
	lenient := flags.Bool("lenient", false, "accept calls that Strava accepts and the stand-in otherwise refuses")
	settings := strava.Settings{RetryInterval: strava.Duration(15 * time.Second)}
	flags.Func("rotation", "of refresh tokens: always, never or random (default always)", func(v string) error {
		settings.Rotation = strava.Rotation(v)
		return nil
	})
	flags.Func("read-limit", "reads per quarter hour and day (default 100,1000)", limitFlag(&settings.ReadLimit))
	flags.Func("overall-limit", "requests per quarter hour and day (default 200,2000)", limitFlag(&settings.OverallLimit))
	flags.IntVar(&settings.Capacity, "capacity", 9_999, "athletes that may be connected")
	flags.TextVar(&settings.RetryInterval, "retry-interval", settings.RetryInterval, "between attempts to deliver an event")
	if err := flags.Parse(args); err != nil {
		return err
	}
	settings.SilentRevoke, settings.Lenient = *silent, *lenient
	settings = settings.WithDefaults()
	if err := settings.Validate(); err != nil {
		return err
	}

	config := strava.Config{
		// A new process must not issue the tokens of the one before.
		Seed:           randomSeed(),
		ClientSecret:   os.Getenv("STRAVA_CLIENT_SECRET"),
		CallbackDomain: *domain,
		Settings:       settings,
	}
	if v := os.Getenv("STRAVA_CLIENT_ID"); v != "" {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return errors.New("STRAVA_CLIENT_ID is not a number")
		}
		config.ClientID = id
	}
	if *history != "" {
		athlete, err := loadHistory(*history)
		if err != nil {
			return err
		}
		config.Athletes = append(config.Athletes, athlete)
	}
	if *athletes < 0 && *history == "" {
		*athletes = defaultAthletes
	}
	config.Athletes = append(config.Athletes, strava.Generate(*seed, max(*athletes, 0), time.Now())...)

	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", *addr, err)
	}
	stand := strava.New(config)
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

// ready is the line that tells where everything is. It names the host as given,
// so that a browser sees localhost and not 127.0.0.1.
func ready(addr string, listening net.Addr, clientID int64) any {
	host, _, _ := net.SplitHostPort(addr)
	if host == "" {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listening.String())
	base := "http://" + net.JoinHostPort(host, port)
	return struct {
		API      string `json:"api"`
		OAuth    string `json:"oauth"`
		Push     string `json:"push"`
		Control  string `json:"control"`
		ClientID int64  `json:"client_id"`
	}{base + "/api/v3", base + "/oauth", base + "/api/v3/push_subscriptions", base + "/control", clientID}
}

func loadHistory(file string) (strava.Athlete, error) {
	f, err := os.Open(file)
	if err != nil {
		return strava.Athlete{}, err
	}
	defer f.Close()
	return strava.LoadHistory(f)
}

func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// limitFlag parses "100,1000".
func limitFlag(l *strava.Limit) func(string) error {
	return func(v string) error {
		quarter, day, _ := strings.Cut(v, ",")
		var errs [2]error
		l[0], errs[0] = strconv.Atoi(quarter)
		l[1], errs[1] = strconv.Atoi(day)
		if errors.Join(errs[:]...) != nil {
			return errors.New("want two numbers, as in 100,1000")
		}
		return nil
	}
}
