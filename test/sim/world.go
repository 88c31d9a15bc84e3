package sim

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/credentialstest"
	credentialsmetric "github.com/paceline/paceline/pkg/credentials/metric"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/gatheringtest"
	gatheringmetric "github.com/paceline/paceline/pkg/gathering/metric"
	"github.com/paceline/paceline/standin"
	"github.com/paceline/paceline/standin/fitbit"
	"github.com/paceline/paceline/standin/strava"
)

// world is one run: the deployed system, the providers, and what goes wrong.
type world struct {
	plan   plan
	began  time.Time
	k      *kernel
	faults *faults
	story  story
	// delays draws how long things take, ids all ids and secrets.
	delays, ids *rand.Rand

	deployment *deployment
	functions  map[string]*function
	version    int
	hosts      map[string]http.RoundTripper
	strava     *strava.Server
	fitbit     *fitbit.Server

	cloud deployed
	// idleTicks counts the runs of a scheduled function that were left out in a row.
	idleTicks map[string]int

	// The ports of each boundary with failures, and what is behind them.
	credentials credentials.Ports
	gathering   gathering.Ports
	athlete     athlete.Ports
	activity    activity.Ports
	stored      stored
	alarms      *alarms
	log         *logs

	people     people
	invariants *invariants
	// closed says that the stage was cleared.
	closed     bool
	violations []string
}

// stored is what the boundaries hold, without failures.
type stored struct {
	credentials *credentialstest.Memory
	gathering   *gatheringtest.Memory
	athlete     athlete.Ports
	activity    activitytest.Ports
}

// start is when every run begins, a Monday.
var start = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

// newWorld returns the deployed system before its first day. It must be made in
// a bubble of testing/synctest.
func newWorld(p plan) *world {
	time.Sleep(time.Until(start))
	w := &world{
		plan: p, began: time.Now(), k: &kernel{ties: rng(p.Seed, "ties", 0)}, faults: newFaults(p),
		delays: rng(p.Seed, "delays", 0), ids: rng(p.Seed, "ids", 0),
		functions: map[string]*function{}, idleTicks: map[string]int{},
	}
	var err error
	if w.deployment, err = loadDeployment(); err != nil {
		panic(err)
	}
	w.alarms = newAlarms(w.deployment)
	w.log = newLogs(w)
	w.strava, w.fitbit = w.newStrava(), w.newFitbit()
	w.cloud = w.newDeployed()
	w.hosts = map[string]http.RoundTripper{
		host(stravaURL): standin.InProcess(w.stravaHandler()), host(fitbitURL): standin.InProcess(w.fitbit), host(siteURL): w.cloud.gateway,
		host(elsewhereURL): standin.InProcess(http.HandlerFunc(elsewhere)),
	}
	w.openStores()
	w.invariants = w.newInvariants()
	for name, spec := range w.deployment.functions {
		build := builders[name]
		if build == nil {
			panic("no composition of function " + name)
		}
		w.functions[name] = &function{spec: spec, place: "lambda " + name, build: func(i *instance) lambdaHandler { return build(w, i) }}
	}
	return w
}

// openStores makes the in-memory adapters and puts failures before them.
func (w *world) openStores() {
	now := time.Now
	var c credentials.Ports
	c, w.stored.credentials = credentialstest.NewPorts(now)
	w.stored.gathering = gatheringtest.NewMemory()
	w.stored.athlete, _ = athletetest.NewPorts(now)
	w.stored.activity = activitytest.NewPorts(now)
	g, at, ac := w.stored.gathering.Ports(now), w.stored.athlete, w.stored.activity.Ports
	c.Metrics, g.Metrics = meter{w.alarms, credentialsmetric.Namespace}, meter{w.alarms, gatheringmetric.Namespace}
	events := w.cloud.bus.publisher()
	c.Publisher, g.Publisher, at.Publisher, ac.Publisher = events, events, events, events
	g.Waker = waker{w.cloud.queues[wakeQueueName]}
	w.credentials = credentialstest.Intercept(c, w.around)
	w.gathering = gatheringtest.Intercept(g, w.around)
	w.athlete = athletetest.Intercept(at, w.around)
	w.activity = activitytest.Intercept(ac, w.around)
}

// newSecret returns text that cannot be guessed in the world, and is the same in
// each run of a seed.
func (w *world) newSecret() string {
	var b [32]byte
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], w.ids.Uint64())
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:])
}

// sleep is the Sleep port.
func (w *world) sleep(ctx context.Context, d time.Duration) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		d = time.Until(deadline) + 1
	}
	w.k.pause(max(d, 0))
	return ctx.Err()
}

// violation notes that a promise was broken.
func (w *world) violation(promise, format string, args ...any) {
	text := promise + ": " + fmt.Sprintf(format, args...)
	w.violations = append(w.violations, text)
	w.story.action("VIOLATION %s", text)
}

// logs is the logger of all functions. Each line is searched for what may not
// be there.
type logs struct {
	*slog.Logger
	w *world
}

func newLogs(w *world) *logs {
	l := &logs{w: w}
	l.Logger = slog.New(slog.NewTextHandler(l, nil))
	return l
}

// Write implements [io.Writer].
func (l *logs) Write(line []byte) (int, error) {
	l.w.inspect("log", line)
	if l.w.story.tell {
		l.w.story.line("  log: %s", bytes.TrimSpace(line))
	}
	return len(line), nil
}
