package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/activity/activitytest"
	"github.com/paceline/paceline/pkg/activity/ddb"
	"github.com/paceline/paceline/pkg/activity/handler"
	"github.com/paceline/paceline/pkg/api"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// historySize is the number of activities of the athlete.
const historySize = 1_132

// activityAPI compares the activity plane's handlers, from API Gateway's
// request to the response, over the real adapter and a DynamoDB on loopback,
// with the same handlers over the store in memory. The difference is the cost
// of DynamoDB's wire format. A real DynamoDB adds a few milliseconds to each
// request.
func activityAPI(ctx context.Context, r *report) error {
	table := newActivitiesTable()
	defer table.Close()
	memory := activitytest.NewStore()
	config, err := startup.AWS(ctx)
	if err != nil {
		return err
	}
	stored := ddb.New(dynamodb.NewFromConfig(config, func(o *dynamodb.Options) {
		o.BaseEndpoint, o.Region = aws.String(table.URL), "us-east-1"
		o.Credentials = credentials.NewStaticCredentialsProvider("bench", "bench", "")
	}), "activities")
	for _, store := range []activity.WriteStore{memory, stored} {
		if err := putHistory(ctx, store); err != nil {
			return err
		}
	}
	for _, call := range []struct {
		name  string
		event string
	}{
		{"GET /v1/me/activities?limit=200", `{"routeKey":"GET /v1/me/activities","queryStringParameters":{"limit":"200"}}`},
		{"GET /v1/me/stats?by=month", `{"routeKey":"GET /v1/me/stats","queryStringParameters":{"by":"month"}}`},
	} {
		var req api.Request
		if err := errors.Join(json.Unmarshal([]byte(call.event), &req), json.Unmarshal([]byte(session()), &req)); err != nil {
			return err
		}
		const rounds, warmUp = 300, 20
		before := table.count()
		res, err := r.compare(ctx, comparison{
			name: call.name, ours: served(stored, req), baseline: "in memory", base: served(memory, req),
			unit: "ns", rounds: rounds, warmUp: warmUp,
		})
		if err != nil {
			return err
		}
		requests := float64(table.count()-before) / (rounds + warmUp)
		res.DynamoDBRequests = &requests
	}
	return nil
}

// putHistory stores the athlete's history.
func putHistory(ctx context.Context, store activity.WriteStore) error {
	now := time.Now()
	var history []gatheringv1.Activity
	for n := range historySize {
		a := activitytest.Activity(int64(n+1), -n*29*3600, fmt.Sprint("Activity ", n))
		a.SportType = []string{"Run", "Ride", "Hike"}[n%3]
		history = append(history, a)
	}
	for chunk := range slices.Chunk(history, gatheringv1.MaxActivities) {
		if err := store.Put(ctx, activity.Reading{By: by, At: now, Activities: chunk}); err != nil {
			return err
		}
	}
	return nil
}

// session returns the part of a request that the authorizer adds.
func session() string {
	return fmt.Sprintf(`{"requestContext":{"authorizer":{"lambda":{"athlete_id":"%d","generation":"%d","key":"false"}}}}`,
		by.AthleteID, by.Generation)
}

// served returns a sample of the handler's time for the request.
func served(store activity.ReadStore, req api.Request) sample {
	reader := activity.Ports{ReadStore: store, Events: startup.EventFactory()}.Reader()
	handle := api.Mux(slog.New(slog.DiscardHandler), handler.APIRoutes(reader))
	return timed(func(ctx context.Context) error {
		res, err := handle(ctx, req)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d: %s", res.StatusCode, res.Body)
		}
		return err
	})
}

// activitiesTable is a stand-in, on loopback, for DynamoDB with the items of
// one athlete. It takes every condition as true and every range of keys as the
// whole partition, which is right as long as there is one writer. It keeps its
// responses, so that a repeated request takes next to no time.
type activitiesTable struct {
	*httptest.Server
	mu        sync.Mutex
	items     map[string]item   // by sort key
	responses map[string][]byte // by request
	requests  int
}

// item is an item in DynamoDB's JSON.
type item = map[string]json.RawMessage

// tableRequest holds the parts of a request that activitiesTable reads.
type tableRequest struct {
	IndexName     string
	Limit         int
	TransactItems []struct{ Put struct{ Item item } }
	RequestItems  map[string]struct{ Keys []item }
}

func newActivitiesTable() *activitiesTable {
	t := &activitiesTable{items: map[string]item{}, responses: map[string][]byte{}}
	t.Server = httptest.NewServer(http.HandlerFunc(t.answer))
	return t
}

// count returns how many requests there were.
func (t *activitiesTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// answer serves one request. The operation is in the header X-Amz-Target.
func (t *activitiesTable) answer(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	body, repeated := t.responses[string(request)]
	if !repeated {
		if body, err = t.perform(operation, request); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	respond(w, body)
}

// perform performs an operation and keeps the response of a read until the next
// write.
func (t *activitiesTable) perform(operation string, request []byte) ([]byte, error) {
	var in tableRequest
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, err
	}
	var out any
	switch operation {
	case "TransactWriteItems":
		t.write(in)
		clear(t.responses)
		return []byte("{}"), nil
	case "BatchGetItem":
		out = t.batchGet(in)
	case "Query":
		out = t.query(in)
	default:
		return nil, fmt.Errorf("the benchmark calls no %s", operation)
	}
	body, err := json.Marshal(out)
	t.responses[string(request)] = body
	return body, err
}

func (t *activitiesTable) write(in tableRequest) {
	for _, action := range in.TransactItems {
		if put := action.Put.Item; put != nil {
			t.items[string(put["sk"])] = put
		}
	}
}

func (t *activitiesTable) batchGet(in tableRequest) any {
	found := map[string][]item{}
	for table, wanted := range in.RequestItems {
		for _, key := range wanted.Keys {
			if i, ok := t.items[string(key["sk"])]; ok {
				found[table] = append(found[table], i)
			}
		}
	}
	return map[string]any{"Responses": found}
}

// query returns the activities, newest first, from an index, and all other items
// from the table.
func (t *activitiesTable) query(in tableRequest) any {
	var found []item
	for _, i := range t.items {
		if _, isActivity := i["start"]; isActivity == (in.IndexName != "") {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(a, b item) int { return cmp.Compare(string(b["start"]), string(a["start"])) })
	if in.Limit > 0 {
		found = found[:min(in.Limit, len(found))]
	}
	return map[string]any{"Items": found, "Count": len(found)}
}
