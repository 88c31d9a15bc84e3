package e2e_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/test/strava"
)

func (c *cloud) aws(t *testing.T) aws.Config {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(context.Background(),
		config.WithBaseEndpoint(c.outputs.AWS), config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("PACELINELOCAL", "paceline", "")))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// held returns the keys of everything that is stored of an athlete besides
// tombstones: items of all tables, and parameters.
func (c *cloud) held(t *testing.T, athlete int64) (keys []string) {
	t.Helper()
	id := strconv.FormatInt(athlete, 10)
	client := dynamodb.NewFromConfig(c.aws(t))
	tables, err := client.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables.TableNames {
		pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, av := range page.Items {
				var item map[string]any
				if err := attributevalue.UnmarshalMap(av, &item); err != nil {
					t.Fatal(err)
				}
				_, mortal := item["expires_at"]
				whose, _ := item["athlete_id"].(float64)
				pk, _ := item["pk"].(string)
				if (int64(whose) == athlete || strings.HasSuffix(pk, "#"+id)) && !mortal {
					keys = append(keys, table+" "+pk)
				}
			}
		}
	}
	parameters, err := ssm.NewFromConfig(c.aws(t)).DescribeParameters(t.Context(), &ssm.DescribeParametersInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parameters.Parameters {
		if strings.HasSuffix(aws.ToString(p.Name), "/"+id) {
			keys = append(keys, aws.ToString(p.Name))
		}
	}
	return keys
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

// nothingLeaks ends the cloud and searches all that it leaves, logs and the
// emulator's whole state but for SSM, for every secret that there ever was and
// for what must never be gathered.
func nothingLeaks(t *testing.T, c *cloud) {
	var secrets strava.Secrets
	c.control(t, "GET", "/secrets", nil, &secrets)
	words := map[string]string{secrets.ClientSecret: "client secret", secrets.BasicAuth: "basic auth", "SYNTHETICPOLYLINE": "polyline", "latlng": "coordinates"}
	for kind, list := range map[string][]string{
		"access token": secrets.AccessTokens, "refresh token": secrets.RefreshTokens, "code": secrets.Codes, "verify token": secrets.VerifyTokens,
	} {
		if len(list) == 0 {
			t.Fatalf("the stand-in never issued a %s", kind)
		}
		for _, s := range list {
			words[s] = kind
		}
	}
	words[c.outputs.Webhook[strings.LastIndex(c.outputs.Webhook, "/")+1:]] = "callback key"

	c.paceline(t, "down")
	searched := map[string]int{}
	for area, root := range map[string]string{"state": c.state, "log": filepath.Join(c.dir, "log")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), "ssm") {
				return err
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			searched[area] += len(b)
			for word, kind := range words {
				if i := bytes.Index(b, []byte(word)); i >= 0 {
					t.Errorf("%s holds a %s at byte %d", path, kind, i)
				}
			}
			if i := coordinate.FindIndex(b); i != nil {
				t.Errorf("%s holds a coordinate at byte %d", path, i[0])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if searched[area] < 1000 {
			t.Errorf("only %d bytes of %s to search", searched[area], area)
		}
	}
	// What is searched really is what was stored.
	if !stateMentions(t, c.state, "dynamodb", "Last title") {
		t.Error("the emulator's state does not hold what was gathered: the search proves nothing")
	}
}

func stateMentions(t *testing.T, dir, service, word string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, service+"*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(word)) {
			return true
		}
	}
	return false
}
