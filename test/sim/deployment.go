package sim

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// deployment is what stage prod deploys, so far as the simulation plays it.
type deployment struct {
	// functions are by their folder below functions/, such as
	// "credentials/forward-request".
	functions map[string]functionSpec
	// queues are those that functions read, by boundary and id, such as
	// "gathering/WorkQueue".
	queues    map[string]*queueSpec
	rules     []ruleSpec
	schedules []scheduleSpec
	routes    []routeSpec
	archive   archiveSpec
	alarms    []alarmSpec
}

// functionSpec is a Lambda function.
type functionSpec struct {
	name    string
	timeout time.Duration
	// reserved is the limit of concurrent invocations; 0 is none.
	reserved int
}

// queueSpec is an SQS queue with its dead letters and the mapping by which a
// function reads it.
type queueSpec struct {
	name        string
	visibility  time.Duration
	retention   time.Duration
	maxReceives int
	// reader is the function that reads the queue.
	reader      string
	batchSize   int
	batchWindow time.Duration
	// maxConcurrency is the limit of concurrent invocations by this queue; 0 is
	// none.
	maxConcurrency int
}

// ruleSpec is an EventBridge rule, which delivers events to a queue. What it
// cannot deliver becomes a dead letter of that queue.
type ruleSpec struct {
	source      string
	detailTypes []string
	queue       string
}

// scheduleSpec is a schedule of EventBridge Scheduler, without retries.
type scheduleSpec struct {
	function string
	every    time.Duration
}

// routeSpec is a route of an HTTP API.
type routeSpec struct {
	// api is "http" or "webhook".
	api string
	// method and path are empty in the route of requests that no other matches.
	method, path string
	function     string
	// authorizer is the function that admits requests; empty if all are admitted.
	authorizer string
}

// archiveSpec is the archive of the bus, of all events except the named ones.
type archiveSpec struct {
	except    []string
	retention time.Duration
}

// loadDeployment reads the templates of stage prod, once.
var loadDeployment = sync.OnceValues(func() (*deployment, error) {
	files, err := readTemplates()
	if err != nil {
		return nil, err
	}
	return newDeployment(files, filepath.Join(moduleRoot(), "functions"))
})

// readTemplates returns the templates of stage prod, which test/infra keeps, by
// the short names of their stacks.
func readTemplates() (map[string][]byte, error) {
	paths, err := filepath.Glob(filepath.Join(moduleRoot(), "test/infra/testdata/prod/*.json"))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = content
	}
	return files, nil
}

// moduleRoot returns the folder of the module.
func moduleRoot() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../..")
}

// newDeployment reads the templates of the stacks. It fails if they hold
// anything that it does not understand. sources is the folder of the functions'
// sources.
func newDeployment(files map[string][]byte, sources string) (*deployment, error) {
	// The athlete UI is a static site. Its only function belongs to the CDK.
	files = maps.Clone(files)
	delete(files, "AthleteUi")
	t, err := newTemplates(files)
	if err != nil {
		return nil, err
	}
	r := &deploymentReader{
		templates:   t,
		sources:     sources,
		names:       map[resourceID]string{},
		deadLetters: map[resourceID]resourceID{},
		deployment:  &deployment{functions: map[string]functionSpec{}, queues: map[string]*queueSpec{}},
	}
	r.read()
	return r.deployment, errors.Join(r.errs...)
}

// matches says whether the rule takes an event.
func (r ruleSpec) matches(source, detailType string) bool {
	return r.source == source && slices.Contains(r.detailTypes, detailType)
}

// consumers returns the queues to which rules deliver an event.
func (d *deployment) consumers(source, detailType string) (queues []string) {
	for _, r := range d.rules {
		if r.matches(source, detailType) {
			queues = append(queues, r.queue)
		}
	}
	return queues
}
