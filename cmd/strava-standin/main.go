package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/strava"
)

func main() { standin.Main("strava-standin", run) }

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "ctl" {
		return control(ctx, args[1:], out)
	}
	return serve(ctx, args, out)
}

// defaultAthletes is how many athletes there are by default without a history.
const defaultAthletes = 10

// options are the command-line options of serve.
type options struct {
	addr           string
	history        string
	seed           uint64
	athletes       int
	callbackDomain string
	settings       strava.Settings
}

// serve runs the stand-in until ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	config, err := o.config()
	if err != nil {
		return err
	}
	stand := strava.New(config)
	id, _ := stand.Client()
	return standin.Serve(ctx, o.addr, stand, func(base string) any { return ready(base, id) }, out)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("strava-standin", flag.ContinueOnError)
	addr := standin.AddrFlag(flags)
	flags.StringVar(&o.history, "history", os.Getenv("STRAVA_HISTORY"), "`file` with a JSON array of SummaryActivity (env STRAVA_HISTORY)")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the generated athletes")
	flags.IntVar(&o.athletes, "athletes", -1, "number of generated athletes (default 10, or none with a history)")
	flags.StringVar(&o.callbackDomain, "callback-domain", "localhost", "domain of the application's redirect URIs")
	flags.BoolVar(&o.settings.SilentRevoke, "silent-revoke", false, "send no deauthorization event when the application itself revokes")
	flags.BoolVar(&o.settings.Lenient, "lenient", false, "accept calls that Strava accepts and the stand-in refuses by default")
	flags.Func("rotation", "of refresh tokens: always, never or random (default always)", func(v string) error {
		o.settings.Rotation = strava.Rotation(v)
		return nil
	})
	flags.Func("read-limit", "reads per quarter hour and day (default 100,1000)", limitFlag(&o.settings.ReadLimit))
	flags.Func("overall-limit", "requests per quarter hour and day (default 200,2000)", limitFlag(&o.settings.OverallLimit))
	flags.IntVar(&o.settings.Capacity, "capacity", 9_999, "athletes that may be connected")
	flags.TextVar(&o.settings.RetryInterval, "retry-interval", strava.Duration(15*time.Second), "between attempts to deliver an event")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.addr = *addr
	o.settings = o.settings.WithDefaults()
	return o, o.settings.Validate()
}

// config returns the stand-in's configuration: the options, and the application
// from the environment.
func (o options) config() (strava.Config, error) {
	config := strava.Config{
		Seed:           standin.RandomSeed(),
		ClientSecret:   os.Getenv("STRAVA_CLIENT_SECRET"),
		CallbackDomain: o.callbackDomain,
		Settings:       o.settings,
	}
	if v := os.Getenv("STRAVA_CLIENT_ID"); v != "" {
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return config, fmt.Errorf("STRAVA_CLIENT_ID is %q; it must be a number", v)
		}
		config.ClientID = id
	}
	generated := o.athletes
	if o.history != "" {
		athlete, err := loadHistory(o.history)
		if err != nil {
			return config, err
		}
		config.Athletes = append(config.Athletes, athlete)
	} else if generated < 0 {
		generated = defaultAthletes
	}
	config.Athletes = append(config.Athletes, strava.Generate(o.seed, max(generated, 0), time.Now())...)
	return config, nil
}

// ready returns the line that a starting stand-in prints.
func ready(base string, clientID int64) any {
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

// limitFlag parses "100,1000" into l.
func limitFlag(l *strava.Limit) func(string) error {
	return func(v string) error {
		quarter, day, _ := strings.Cut(v, ",")
		var errs [2]error
		l[0], errs[0] = strconv.Atoi(quarter)
		l[1], errs[1] = strconv.Atoi(day)
		if errors.Join(errs[:]...) != nil {
			return errors.New("must be two numbers, as in 100,1000")
		}
		return nil
	}
}
