package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"

	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/fitbit"
)

func main() { standin.Main("fitbit-standin", serve) }

// serve runs the stand-in until ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fitbit-standin", flag.ContinueOnError)
	addr := standin.AddrFlag(flags)
	limit := flags.Int("hourly-limit", 150, "calls per hour and user")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *limit < 1 {
		return errors.New("--hourly-limit must be at least 1, and there are no other arguments")
	}
	stand := fitbit.New(fitbit.Config{
		Seed:         standin.RandomSeed(),
		ClientID:     os.Getenv("FITBIT_CLIENT_ID"),
		ClientSecret: os.Getenv("FITBIT_CLIENT_SECRET"),
		HourlyLimit:  *limit,
	})
	id, _ := stand.Client()
	return standin.Serve(ctx, *addr, stand, func(base string) any { return ready(base, id) }, out)
}

// ready returns the line that a starting stand-in prints.
func ready(base, clientID string) any {
	return struct {
		Site     string `json:"site"`
		API      string `json:"api"`
		Control  string `json:"control"`
		ClientID string `json:"client_id"`
	}{base, base, base + "/control", clientID}
}
