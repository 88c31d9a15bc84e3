package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/paceline/paceline/standin/strava"
)

// TestMain lets all tests run in parallel even on few processors, because the
// tests mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// cloud is the local cloud under test.
type cloud struct {
	root string // the folder of the repository
	dir  string // the folder of the cloud
	// state is the folder to which the emulator writes its data when it ends.
	state string
	// ports are the ports of the site and of the emulator.
	ports [2]string
	// env is added to the environment of the local cloud.
	env     []string
	outputs struct {
		App     string            `json:"app"`
		AWS     string            `json:"aws"`
		Strava  map[string]string `json:"strava"`
		Fitbit  map[string]string `json:"fitbit"`
		Webhook string            `json:"webhook"`
		Stage   string            `json:"stage"`
	}
}

// start starts the named cloud and stops it at the end of the test. Clouds share
// only the build.
func start(t *testing.T, name string) *cloud {
	t.Helper()
	return startWith(t, name, func(*cloud) {})
}

// startWith is like start, but first calls prepare, which may extend the
// environment of the cloud.
func startWith(t *testing.T, name string, prepare func(*cloud)) *cloud {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	c := &cloud{root: root, dir: filepath.Join(root, ".local", "e2e-"+name), ports: freePorts(t)}
	c.state = filepath.Join(c.dir, "state")
	prepare(c)
	c.paceline(t, "down") // An interrupted run may still be up. It writes its state now.
	if err := os.RemoveAll(c.state); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.paceline(t, "down") })
	c.paceline(t, "up")
	b, err := os.ReadFile(filepath.Join(c.dir, "outputs.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &c.outputs); err != nil {
		t.Fatal(err)
	}
	return c
}

// freePorts returns two free ports.
func freePorts(t *testing.T) (ports [2]string) {
	t.Helper()
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }() // Keep it open while finding the second port.
		ports[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func (c *cloud) paceline(t *testing.T, command string) {
	t.Helper()
	cmd := exec.Command("dist/paceline", "local", command, "--dir", c.dir)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "PACELINE_PORT="+c.ports[0], "PACELINE_AWS_PORT="+c.ports[1],
		"STRAVA_HISTORY=", "STRAVA_API_URL=", "STRAVA_OAUTH_URL=", "STRAVA_PUSH_URL=", "STRAVA_CLIENT_ID=", "STRAVA_CLIENT_SECRET=",
		"FITBIT_SITE_URL=", "FITBIT_API_URL=", "FITBIT_CLIENT_ID=", "FITBIT_CLIENT_SECRET=",
		"PERSIST_STATE=1", "STATE_DIR="+c.state)
	cmd.Env = append(cmd.Env, c.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("paceline local %s: %v\n%s", command, err, out)
	}
	if command == "up" {
		t.Logf("%s", out)
	}
}

// resource returns the physical id of the only resource of a stack whose type
// begins with ofType and whose logical id begins with id, ignoring case.
func (c *cloud) resource(t *testing.T, stack, ofType, id string) string {
	t.Helper()
	out, err := cloudformation.NewFromConfig(c.aws(t)).DescribeStackResources(t.Context(), &cloudformation.DescribeStackResourcesInput{
		StackName: aws.String("Paceline-local-" + stack),
	})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, r := range out.StackResources {
		if strings.HasPrefix(aws.ToString(r.ResourceType), ofType) && strings.HasPrefix(strings.ToLower(aws.ToString(r.LogicalResourceId)), id) {
			found = append(found, aws.ToString(r.PhysicalResourceId))
		}
	}
	if len(found) != 1 {
		t.Fatalf("the stack %s has %d resources %s of %s: %v", stack, len(found), id, ofType, found)
	}
	return found[0]
}

// admin runs an admin command and decodes its JSON output, unless into is nil.
func (c *cloud) admin(t *testing.T, into any, args ...string) {
	t.Helper()
	c.adminWith(t, "", into, args...)
}

// adminWith is like admin, with text on standard input.
func (c *cloud) adminWith(t *testing.T, stdin string, into any, args ...string) {
	t.Helper()
	cmd := exec.Command("dist/paceline", append([]string{"admin", "--dir", c.dir, "--json"}, args...)...)
	cmd.Dir = c.root
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Logf("%s", failed.Stderr)
		}
		t.Fatalf("paceline admin %v: %v", args, err)
	}
	if into != nil {
		if err := json.Unmarshal(out, into); err != nil {
			t.Fatalf("paceline admin %v: %v: %s", args, err, out)
		}
	}
}

// records returns the cloud's records of its processes by file name. A record has
// the process id, its start time and its arguments.
func (c *cloud) records(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "run/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	records := map[string]string{}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		records[filepath.Base(path)] = string(b)
	}
	if len(records) != 4 {
		t.Fatalf("the processes are %v, want the emulator, the stand-ins for Strava and Fitbit, and the edge proxy", records)
	}
	return records
}

// control calls the stand-in's control API.
func (c *cloud) control(t *testing.T, method, path string, body, into any) {
	t.Helper()
	base, err := url.Parse(c.outputs.Strava["oauth"])
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+base.Host+"/control"+path, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		t.Fatalf("%s %s: status %d", method, path, res.StatusCode)
	}
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
}

// athletes returns the athletes of the stand-in.
func (c *cloud) athletes(t *testing.T) (list []strava.AthleteState) {
	t.Helper()
	c.control(t, "GET", "/athletes", nil, &list)
	return list
}

// stravaActivities returns an athlete's activities at Strava, newest first.
func (c *cloud) stravaActivities(t *testing.T, athlete int64) (list []strava.Activity) {
	t.Helper()
	c.control(t, "GET", fmt.Sprintf("/athletes/%d/activities", athlete), nil, &list)
	return list
}

func (c *cloud) counters(t *testing.T) (counters strava.Counters) {
	t.Helper()
	c.control(t, "GET", "/counters", nil, &counters)
	return counters
}

// browser is an HTTP client with the cookies of one athlete.
type browser struct {
	t      *testing.T
	cloud  *cloud
	client *http.Client
}

func (c *cloud) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, c, &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// in returns the same browser for another test.
func (b *browser) in(t *testing.T) *browser { return &browser{t, b.cloud, b.client} }

// response is a response of the HTTP API.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (b *browser) do(method, target string) response {
	b.t.Helper()
	return b.send(method, target, nil)
}

// post sends a JSON body.
func (b *browser) post(target string, body any) response {
	b.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.send("POST", target, content)
}

func (b *browser) send(method, target string, content []byte) response {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.cloud.outputs.App + target
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(b.t.Context()), method, target, bytes.NewReader(content))
	if err != nil {
		b.t.Fatal(err)
	}
	if len(content) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		b.t.Fatal(err)
	}
	return response{res.StatusCode, res.Header, body.Bytes()}
}

// get decodes a JSON response, which must have status 200.
func (b *browser) get(path string, into any) {
	b.t.Helper()
	a := b.do("GET", path)
	if a.status != http.StatusOK {
		b.t.Fatalf("GET %s: status %d: %s", path, a.status, a.body)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
}

// connect follows the OAuth flow and returns the location to which the callback
// redirects. more is appended to the query of the authorization URL.
func (b *browser) connect(athlete int64, more string) string {
	b.t.Helper()
	toStrava := b.do("GET", "/oauth/connect")
	if toStrava.status != http.StatusFound {
		b.t.Fatalf("connect: status %d: %s", toStrava.status, toStrava.body)
	}
	back := b.do("GET", toStrava.header.Get("Location")+"&as_athlete="+strconv.FormatInt(athlete, 10)+more)
	if back.status != http.StatusFound {
		b.t.Fatalf("authorize: status %d", back.status)
	}
	done := b.do("GET", back.header.Get("Location"))
	if done.status != http.StatusFound {
		b.t.Fatalf("callback: status %d: %s", done.status, done.body)
	}
	return done.header.Get("Location")
}

type item struct {
	ID             int64   `json:"id"`
	Name           string  `json:"name"`
	Private        bool    `json:"private"`
	Visibility     string  `json:"visibility"`
	StartDate      string  `json:"start_date"`
	StartDateLocal string  `json:"start_date_local"`
	Distance       float64 `json:"distance"`
}

// activities reads all pages of activities.
func (b *browser) activities(query string) (items []item) {
	b.t.Helper()
	for cursor := ""; ; {
		var page struct {
			Items      []item  `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		b.get("/v1/me/activities?"+query+"&cursor="+url.QueryEscape(cursor), &page)
		items = append(items, page.Items...)
		if page.NextCursor == nil {
			return items
		}
		cursor = *page.NextCursor
	}
}

type syncState struct {
	State      string     `json:"state"`
	Gathered   int        `json:"gathered"`
	WaitingFor *string    `json:"waiting_for"`
	ResumesAt  *time.Time `json:"resumes_at"`
}

// current waits until all data of the athlete is gathered.
func (b *browser) current(within time.Duration) syncState {
	b.t.Helper()
	var s syncState
	eventually(b.t, within, "gathering to complete", func() bool {
		b.get("/v1/me/sync", &s)
		return s.State == "current"
	})
	return s
}

// eventually waits for a condition and fails the test on a timeout. It checks
// conditions with long timeouts less often, because on a small machine each check
// slows other tests down.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	pause := min(max(within/60, 200*time.Millisecond), time.Second)
	for deadline := time.Now().Add(within); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("timed out after %s waiting for %s", within, what)
		}
		time.Sleep(pause)
	}
}

// never fails the test if a condition becomes true within the duration. Work in
// progress has that time to complete.
func never(t *testing.T, during time.Duration, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(during); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if happened() {
			t.Fatalf("unexpected: %s", what)
		}
	}
}

func ids[T any](list []T, id func(T) int64) []int64 {
	out := make([]int64, len(list))
	for i, v := range list {
		out[i] = id(v)
	}
	slices.Sort(out)
	return out
}
