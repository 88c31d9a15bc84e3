package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/kit/startup"
	"github.com/paceline/paceline/standin/strava"
)

func (c *cloud) aws(t *testing.T) aws.Config {
	t.Helper()
	cfg, err := startup.AWS(context.Background(),
		config.WithBaseEndpoint(c.outputs.AWS), config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("PACELINELOCAL", "paceline", "")))
	if err != nil {
		t.Fatal(err)
	}
	// Some calls invoke functions, and the emulator is slow when many come at once.
	return startup.WithLimits(cfg, startup.Limits{Dial: time.Minute, Attempt: time.Minute, Attempts: 3, Call: time.Minute})
}

// tombstone are the attributes of which nothing but the memory of an ended
// authorization is made: whose it was, which, that it ended, and when. None of
// them is of Strava's data.
var tombstone = []string{
	"pk", "sk", "provider", "account_id", "athlete_id", "generation", "since", "revoked_generation", "state", "left_at",
	"receipt", "revoked_at", "expires_at", "revision", "version",
	"hash", "kind", "ended_at", // of a session or key
}

// isTombstone reports whether the item will expire and is no more than a
// tombstone.
func isTombstone(item map[string]any) bool {
	for name := range item {
		if !slices.Contains(tombstone, name) {
			return false
		}
	}
	over := "revoked"
	if pk, _ := item["pk"].(string); strings.HasPrefix(pk, "grant#") {
		over = "erased" // A revoked grant still has tokens.
	}
	state, stated := item["state"]
	return item["expires_at"] != nil && (!stated || state == over)
}

// held returns what is stored of an athlete besides tombstones, by where it is:
// items of all tables, and parameters.
func (c *cloud) held(t *testing.T, athlete int64) map[string][]string {
	t.Helper()
	held := map[string][]string{}
	theirs := mention(athlete)
	c.scan(t, func(table string, av map[string]dynamodbtypes.AttributeValue) {
		var item map[string]any
		if err := attributevalue.UnmarshalMap(av, &item); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(item) // It is of plain values.
		if err != nil {
			t.Fatal(err)
		}
		if theirs.Match(text) && !isTombstone(item) {
			held[table] = append(held[table], fmt.Sprintf("%v %v: %v", item["pk"], item["sk"], slices.Sorted(maps.Keys(item))))
		}
	})
	pages := ssm.NewDescribeParametersPaginator(ssm.NewFromConfig(c.aws(t)), &ssm.DescribeParametersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.Parameters {
			if theirs.MatchString(aws.ToString(p.Name)) {
				held[parameters] = append(held[parameters], aws.ToString(p.Name))
			}
		}
	}
	return held
}

// parameters is where [cloud.held] finds parameters.
const parameters = "parameters"

func (c *cloud) tables(t *testing.T) []string {
	t.Helper()
	out, err := dynamodb.NewFromConfig(c.aws(t)).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.TableNames
}

// heldEverywhere makes sure that there is something to erase in every place, so
// that finding nothing later means something.
func heldEverywhere(t *testing.T, c *cloud, athlete int64) {
	t.Helper()
	held := c.held(t, athlete)
	for _, place := range append(c.tables(t), parameters) {
		if len(held[place]) == 0 && !strings.Contains(place, "Waiting") { // Who waits is no athlete.
			t.Errorf("%s holds nothing of the athlete", place)
		}
	}
}

func noDeadLetters(t *testing.T, c *cloud) {
	client := sqs.NewFromConfig(c.aws(t))
	queues, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	dead := map[string]bool{} // by ARN
	waiting := map[string]string{}
	for _, url := range queues.QueueUrls {
		if strings.HasSuffix(url, "/"+spyName) {
			continue // It is the test's own.
		}
		out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		waiting[out.Attributes["QueueArn"]] = out.Attributes["ApproximateNumberOfMessages"]
		if out.Attributes["RedrivePolicy"] == "" {
			dead[out.Attributes["QueueArn"]] = true
		}
	}
	if len(dead) == 0 {
		t.Fatal("there is no dead-letter queue")
	}
	for arn := range dead {
		if waiting[arn] != "0" {
			t.Errorf("%s holds %s messages", arn, waiting[arn])
		}
	}
}

// coordinate is what every latitude or longitude of a generated activity looks
// like.
var coordinate = regexp.MustCompile(`-(0\.7|30\.5)[0-9]{3,}`)

// words are what must be nowhere, and what each of them is.
type words map[string]string

// search fails the test for every word in what is called name.
func (w words) search(t *testing.T, name string, b []byte) {
	t.Helper()
	for word, kind := range w {
		if i := bytes.Index(b, []byte(word)); i >= 0 {
			t.Errorf("%s holds a %s at byte %d", name, kind, i)
		}
	}
	if i := coordinate.FindIndex(b); i != nil {
		t.Errorf("%s holds a coordinate at byte %d", name, i[0])
	}
}

// secrets are every secret that there ever was, and the marks of what must
// never be gathered.
func (c *cloud) secrets(t *testing.T) words {
	t.Helper()
	var secrets strava.Secrets
	c.control(t, "GET", "/secrets", nil, &secrets)
	w := words{secrets.ClientSecret: "client secret", secrets.BasicAuth: "basic auth", strava.SyntheticPolyline: "polyline", "latlng": "coordinates"}
	for kind, list := range map[string][]string{
		"access token": secrets.AccessTokens, "refresh token": secrets.RefreshTokens, "code": secrets.Codes, "verify token": secrets.VerifyTokens,
	} {
		if len(list) == 0 {
			t.Fatalf("the stand-in never issued a %s", kind)
		}
		for _, s := range list {
			w[s] = kind
		}
	}
	w[c.outputs.Webhook[strings.LastIndex(c.outputs.Webhook, "/")+1:]] = "callback key"
	return w
}

// nothingLeaks searches all events, ends the cloud, and searches all that it
// leaves: logs, and the emulator's whole state but for SSM. Of who is gone there
// is a word in the tables alone, where [cloud.held] found no more than tombstones.
// searchLeft searches all that the emulator, the functions and the stand-ins have
// left in files when they ended, but Parameter Store, and shows it to also.
func (c *cloud) searchLeft(t *testing.T, secrets words, also func(path string, b []byte)) {
	t.Helper()
	for _, root := range []string{c.state, filepath.Join(c.dir, "log")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "ssm") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			secrets.search(t, path, b)
			also(path, b)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func nothingLeaks(t *testing.T, c *cloud, s *spy, athlete, gone int64) {
	served := c.truth(t, athlete)[0].Summary
	for _, mark := range []string{strava.SyntheticPolyline, "latlng"} {
		if !bytes.Contains(served, []byte(mark)) {
			t.Errorf("Strava serves no %s: the search proves nothing", mark)
		}
	}
	if !coordinate.Match(served) {
		t.Error("Strava serves no coordinate: the search proves nothing")
	}
	secrets := c.secrets(t)
	eventsLeakNothing(t, s, secrets)

	c.paceline(t, "down")
	c.searchLeft(t, secrets, func(path string, b []byte) {
		if strings.HasPrefix(path, c.state) && filepath.Base(path) != "dynamodb.json" && mention(gone).Match(b) {
			t.Errorf("%s tells of who is gone", path)
		}
	})
	logs := filepath.Join(c.dir, "log")
	// What is searched really is what was stored, queued and logged.
	for what, where := range map[string]struct{ file, word string }{
		"what was gathered":         {filepath.Join(c.state, "dynamodb.json"), lastTitle},
		"the work that waits":       {filepath.Join(c.state, "dynamodb.json"), "job_due"},
		"what functions print":      {filepath.Join(c.state, "cloudwatch_logs.json"), `TokensRefreshed`},
		"the emulator's log":        {filepath.Join(logs, "ministack.log"), "handleeventsFunction"},
		"the edge proxy's log":      {filepath.Join(logs, "edge.log"), "GET /oauth/callback 302"},
		"the log of the deployment": {filepath.Join(logs, "cdk.log"), "Paceline-local-Platform"},
	} {
		b, err := os.ReadFile(where.file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(where.word)) {
			t.Errorf("%s does not hold %s: the search proves nothing", where.file, what)
		}
	}
}
