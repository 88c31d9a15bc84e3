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
	// The emulator answers concurrent calls that invoke functions slowly.
	return startup.WithLimits(cfg, startup.Limits{Dial: time.Minute, Attempt: time.Minute, Attempts: 3, Call: time.Minute})
}

// tombstone lists the attributes of a tombstone: the athlete, the ended
// authorization and when it ended. None of them is data from Strava.
var tombstone = []string{
	"pk", "sk", "provider", "account_id", "athlete_id", "generation", "since", "revoked_generation", "state", "end_requested_at",
	"receipt", "completed", "revoked_at", "expires_at", "revision", "version",
	"hash", "kind", "ended_at", // of a session or key
}

// isTombstone reports whether the item expires and has only the attributes of a
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

// stored returns all that is stored about an athlete except tombstones: items by
// table, and the names of parameters.
func (c *cloud) stored(t *testing.T, athlete int64) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	theirs := mention(athlete)
	c.scan(t, func(table string, av map[string]dynamodbtypes.AttributeValue) {
		var item map[string]any
		if err := attributevalue.UnmarshalMap(av, &item); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		if theirs.Match(text) && !isTombstone(item) {
			found[table] = append(found[table], fmt.Sprintf("%v %v: %v", item["pk"], item["sk"], slices.Sorted(maps.Keys(item))))
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
				found[parameters] = append(found[parameters], aws.ToString(p.Name))
			}
		}
	}
	return found
}

// parameters is the key of the parameters in the result of [cloud.stored].
const parameters = "parameters"

func (c *cloud) tables(t *testing.T) []string {
	t.Helper()
	out, err := dynamodb.NewFromConfig(c.aws(t)).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.TableNames
}

// mustBeStoredEverywhere checks that every store has data of the athlete, so that
// finding none after the erasure proves something.
func mustBeStoredEverywhere(t *testing.T, c *cloud, athlete int64) {
	t.Helper()
	found := c.stored(t, athlete)
	for _, place := range append(c.tables(t), parameters) {
		if len(found[place]) == 0 && !strings.Contains(place, "Waiting") { // The waitlist has no athletes.
			t.Errorf("%s has no data of the athlete", place)
		}
	}
}

func deadLettersAreEmpty(t *testing.T, c *cloud) {
	client := sqs.NewFromConfig(c.aws(t))
	queues, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{})
	if err != nil {
		t.Fatal(err)
	}
	dead := map[string]bool{} // by ARN
	waiting := map[string]string{}
	for _, url := range queues.QueueUrls {
		if strings.HasSuffix(url, "/"+spyName) {
			continue // The test's own queue.
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
		t.Fatal("the test proves nothing: there is no dead-letter queue")
	}
	for arn := range dead {
		if waiting[arn] != "0" {
			t.Errorf("%s has %s messages", arn, waiting[arn])
		}
	}
}

// coordinate matches every latitude and longitude of a generated activity.
var coordinate = regexp.MustCompile(`-(0\.7|30\.5)[0-9]{3,}`)

// words maps each text that must not appear anywhere to its kind.
type words map[string]string

// search fails the test for each word that appears in b, the content of name.
func (w words) search(t *testing.T, name string, b []byte) {
	t.Helper()
	for word, kind := range w {
		if i := bytes.Index(b, []byte(word)); i >= 0 {
			t.Errorf("%s contains a %s at byte %d", name, kind, i)
		}
	}
	if i := coordinate.FindIndex(b); i != nil {
		t.Errorf("%s contains a coordinate at byte %d", name, i[0])
	}
}

// secrets returns every secret that the stand-in has issued, and marks of the
// location data that Paceline must not store.
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

// searchFiles searches all files that the emulator, the functions and the
// stand-ins wrote, except Parameter Store's, and passes each to also.
func (c *cloud) searchFiles(t *testing.T, secrets words, also func(path string, b []byte)) {
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

// nothingLeaks searches all events, stops the cloud, and searches its files: logs
// and the emulator's state except Parameter Store's. The id of the athlete who
// left may appear only in the tables, where [cloud.stored] found only tombstones.
func nothingLeaks(t *testing.T, c *cloud, s *spy, athlete, left int64) {
	served := c.stravaActivities(t, athlete)[0].Summary
	for _, mark := range []string{strava.SyntheticPolyline, "latlng"} {
		if !bytes.Contains(served, []byte(mark)) {
			t.Errorf("the search proves nothing: Strava serves no %s", mark)
		}
	}
	if !coordinate.Match(served) {
		t.Error("the search proves nothing: Strava serves no coordinate")
	}
	secrets := c.secrets(t)
	eventsLeakNothing(t, s, secrets)

	c.paceline(t, "down")
	c.searchFiles(t, secrets, func(path string, b []byte) {
		if strings.HasPrefix(path, c.state) && filepath.Base(path) != "dynamodb.json" && mention(left).Match(b) {
			t.Errorf("%s contains the id of the athlete who left", path)
		}
	})
	logs := filepath.Join(c.dir, "log")
	// The searched files contain the stored, queued and logged data.
	for what, where := range map[string]struct{ file, word string }{
		"gathered activities":       {filepath.Join(c.state, "dynamodb.json"), lastTitle},
		"queued work":               {filepath.Join(c.state, "dynamodb.json"), "job_due"},
		"the functions' output":     {filepath.Join(c.state, "cloudwatch_logs.json"), `TokensRefreshed`},
		"the emulator's log":        {filepath.Join(logs, "ministack.log"), "handleeventsFunction"},
		"the edge proxy's log":      {filepath.Join(logs, "edge.log"), "GET /oauth/callback 302"},
		"the log of the deployment": {filepath.Join(logs, "cdk.log"), "Paceline-local-Platform"},
	} {
		b, err := os.ReadFile(where.file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(where.word)) {
			t.Errorf("the search proves nothing: %s does not contain %s", where.file, what)
		}
	}
}
