package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

// commands are the routes of the control API by the names that ctl gives them.
var commands = map[string]struct{ method, path string }{
	"status":         {"GET", "/status"},
	"settings":       {"PATCH", "/settings"},
	"usage":          {"PUT", "/usage"},
	"athletes":       {"GET", "/athletes"},
	"activities":     {"GET", "/athletes/{athlete}/activities"},
	"new-activity":   {"POST", "/athletes/{athlete}/activities"},
	"edit":           {"PATCH", "/athletes/{athlete}/activities/{activity}"},
	"set-fields":     {"PATCH", "/athletes/{athlete}/activities/{activity}/fields"},
	"delete":         {"DELETE", "/athletes/{athlete}/activities/{activity}"},
	"corrupt":        {"PUT", "/athletes/{athlete}/activities/{activity}/corrupt"},
	"repair":         {"DELETE", "/athletes/{athlete}/activities/{activity}/corrupt"},
	"deauthorize":    {"POST", "/athletes/{athlete}/deauthorize"},
	"token-life":     {"PUT", "/athletes/{athlete}/token-life"},
	"forge":          {"POST", "/webhook"},
	"release":        {"POST", "/release"},
	"deliveries":     {"GET", "/deliveries"},
	"fault":          {"POST", "/faults"},
	"faults":         {"GET", "/faults"},
	"clear-faults":   {"DELETE", "/faults"},
	"counters":       {"GET", "/counters"},
	"reset-counters": {"DELETE", "/counters"},
	"secrets":        {"GET", "/secrets"},
}

// control calls one route of the control API. The arguments name=value are the
// members of the JSON body. A value that is JSON stays as it is; any other value
// becomes a string:
//
//	ctl edit --athlete 80000001 --activity 40000000000 name="Messy" visibility=only_me
//	ctl fault endpoint=refresh kind=drop
//	ctl fault endpoint=activities athlete=80000001 page=2 kind=200-empty-list count=-1
//	ctl settings rotation=random read_limit=[10,100]
func control(ctx context.Context, args []string, out io.Writer) error {
	names := strings.Join(slices.Sorted(maps.Keys(commands)), ", ")
	flags := flag.NewFlagSet("strava-standin ctl", flag.ContinueOnError)
	base := flags.String("url", cmp.Or(os.Getenv("STRAVA_STANDIN_URL"), "http://localhost:9090"), "base `URL` of the stand-in (env STRAVA_STANDIN_URL)")
	athlete := flags.Int64("athlete", 0, "athlete id")
	activity := flags.Int64("activity", 0, "activity id")
	flags.Usage = func() {
		fmt.Fprintf(flags.Output(), "usage: strava-standin ctl [flags] COMMAND [flags] [name=value ...]\ncommands: %s\n", names)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	name := flags.Arg(0)
	command, ok := commands[name]
	if !ok {
		return fmt.Errorf("unknown command %q; the commands are %s", name, names)
	}
	if err := flags.Parse(flags.Args()[1:]); err != nil {
		return err
	}
	path := strings.NewReplacer(
		"{athlete}", strconv.FormatInt(*athlete, 10),
		"{activity}", strconv.FormatInt(*activity, 10),
	).Replace(command.path)
	fields := map[string]any{}
	for _, arg := range flags.Args() {
		key, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("argument %q must be name=value", arg)
		}
		fields[key] = value
		if json.Valid([]byte(value)) {
			fields[key] = json.RawMessage(value)
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, command.method, strings.TrimSuffix(*base, "/")+"/control"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= http.StatusBadRequest {
		reason, _ := io.ReadAll(res.Body) // empty if it cannot be read
		return fmt.Errorf("%s: %s %s", name, res.Status, bytes.TrimSpace(reason))
	}
	_, err = io.Copy(out, res.Body)
	return err
}
