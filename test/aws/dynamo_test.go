package aws_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

type counterItem struct {
	dynamo.Revision
	Group string `dynamodbav:"pk"`
	ID    string `dynamodbav:"sk"`
	N     int    `dynamodbav:"n"`
}

func counterKey(id string) dynamo.Item {
	return dynamo.Item{"pk": dynamo.Text("counters"), "sk": dynamo.Text(id)}
}

func increment(id string) func(*counterItem) (bool, error) {
	return func(c *counterItem) (bool, error) {
		c.Group, c.ID, c.N = "counters", id, c.N+1
		return true, nil
	}
}

func mustCounters(t *testing.T) dynamo.Table {
	t.Helper()
	return dynamo.Table{API: dynamodb.NewFromConfig(mustConfig(t)), Name: mustTable(t, dynamodb.CreateTableInput{
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS),
		},
		KeySchema: primaryKey("pk", "sk"),
	})}
}

// mustFill writes n items and returns their keys.
func mustFill(t *testing.T, table dynamo.Table, n int) (keys []dynamo.Item) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("%03d", i)
		item, err := dynamo.Encode(counterItem{Group: "counters", ID: id, N: i})
		if err != nil {
			t.Fatal(err)
		}
		if err := table.Put(t.Context(), &dynamodb.PutItemInput{Item: item}); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, counterKey(id))
	}
	return keys
}

func TestDynamo(t *testing.T) {
	for _, c := range []struct {
		claim string
		holds func(*testing.T, dynamo.Table)
	}{
		{"parallel updates of one item lose none", parallelUpdates},
		{"an update notices that its item was deleted and written again", rewrittenItem},
		{"a transaction reports which condition failed", failedCondition},
		{"batches read and delete any number of items", batches},
		{"queries and scans read all pages", allPages},
	} {
		t.Run(c.claim, func(t *testing.T) { c.holds(t, mustCounters(t)) })
	}
}

func parallelUpdates(t *testing.T, table dynamo.Table) {
	const writers = 50
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			if _, err := dynamo.Update(t.Context(), table, dynamo.Crowded, counterKey("a"), increment("a")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var c counterItem
	if _, err := table.Get(t.Context(), counterKey("a"), &c); err != nil || c.N != writers {
		t.Errorf("counted to %d, %v", c.N, err)
	}
}

func rewrittenItem(t *testing.T, table dynamo.Table) {
	update := func(change func(*counterItem) (bool, error)) counterItem {
		t.Helper()
		c, err := dynamo.Update(t.Context(), table, dynamo.Usual, counterKey("a"), change)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	update(increment("a"))
	runs := 0
	c := update(func(c *counterItem) (bool, error) {
		if runs++; runs == 1 {
			if _, err := table.Delete(t.Context(), &dynamodb.DeleteItemInput{Key: counterKey("a")}); err != nil {
				t.Fatal(err)
			}
			update(increment("a"))
		}
		return increment("a")(c)
	})
	if runs != 2 || c.N != 2 {
		t.Errorf("counted to %d after %d runs", c.N, runs)
	}
}

func failedCondition(t *testing.T, table dynamo.Table) {
	keys := mustFill(t, table, 2)
	absent := aws.String("attribute_not_exists(pk)")
	err := table.Transact(t.Context(), []types.TransactWriteItem{
		{Put: &types.Put{Item: counterKey("new"), ConditionExpression: absent}},
		{Delete: &types.Delete{Key: keys[0], ConditionExpression: absent}},
		{ConditionCheck: &types.ConditionCheck{Key: counterKey("another"), ConditionExpression: absent}},
	})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("%v is no conflict", err)
	}
	for action, want := range []bool{false, true, false} {
		if got := dynamo.ConditionFailed(err, action); got != want {
			t.Errorf("action %d failed: %v", action, got)
		}
	}
	if items := mustItems(t, table.Name); len(items) != 2 {
		t.Errorf("%d items after a cancelled transaction", len(items))
	}
	if err := table.Put(t.Context(), &dynamodb.PutItemInput{Item: keys[0], ConditionExpression: absent}); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v is no conflict", err)
	}
}

func batches(t *testing.T, table dynamo.Table) {
	keys := mustFill(t, table, 250)
	for name, api := range map[string]dynamo.API{"whole": table.API, "short": stingy(t, 7)} {
		items, err := dynamo.Table{API: api, Name: table.Name}.BatchGet(t.Context(), append(keys, counterKey("missing")))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, item := range items {
			var c counterItem
			if err := dynamo.Decode(item, &c); err != nil {
				t.Fatal(err)
			}
			if n, err := strconv.Atoi(c.ID); err != nil || n != c.N {
				t.Errorf("read %+v", c)
			}
			seen[c.ID] = true
		}
		if len(items) != 250 || len(seen) != 250 {
			t.Errorf("%s answers: read %d items, %d of them different", name, len(items), len(seen))
		}
	}
	if err := table.BatchDelete(t.Context(), append(keys[:60:60], counterKey("missing"))); err != nil {
		t.Fatal(err)
	}
	if items := mustItems(t, table.Name); len(items) != 190 {
		t.Errorf("%d items are left", len(items))
	}
}

func allPages(t *testing.T, table dynamo.Table) {
	mustFill(t, table, 25)
	query := func() *dynamodb.QueryInput {
		return &dynamodb.QueryInput{
			Limit: aws.Int32(4), KeyConditionExpression: aws.String("pk = :pk"),
			ExpressionAttributeValues: dynamo.Item{":pk": dynamo.Text("counters")},
		}
	}
	for what, seq := range map[string]func(func([]dynamo.Item, error) bool){
		"query": table.Query(t.Context(), query()),
		"scan":  table.Scan(t.Context(), &dynamodb.ScanInput{Limit: aws.Int32(4)}),
	} {
		pages, items := 0, 0
		for page, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
			pages, items = pages+1, items+len(page)
		}
		if pages != 7 || items != 25 {
			t.Errorf("a %s read %d items in %d pages", what, items, pages)
		}
	}
	if n, err := table.Count(t.Context(), query()); err != nil || n != 25 {
		t.Errorf("counted %d items, %v", n, err)
	}
}
