package main

import (
	"cmp"
	"context"
	"encoding/json"
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

// historySize is how many activities the athlete of the API's benchmarks has.
const historySize = 1_132

// activityAPI compares what the activity plane's handlers take, from API
// Gateway's request to the answer, over the real adapter and a DynamoDB on
// loopback, with the same handlers over the store in memory. The difference is
// what DynamoDB's wire format costs. A real DynamoDB adds its own few
// milliseconds to each request.
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

	const athlete, generation = 1, 1
	now := time.Now()
	var history []gatheringv1.Activity
	for n := range historySize {
		a := activitytest.Activity(int64(n+1), -n*29*3600, fmt.Sprint("Activity ", n))
		a.SportType = []string{"Run", "Ride", "Hike"}[n%3]
		history = append(history, a)
	}
	for chunk := range slices.Chunk(history, gatheringv1.MaxActivities) {
		reading := activity.Reading{By: activity.Authorization{AthleteID: athlete, Generation: generation}, At: now, Activities: chunk}
		for _, store := range []activity.WriteStore{memory, stored} {
			if err := store.Put(ctx, reading); err != nil {
				return err
			}
		}
	}

	handler := func(store activity.ReadStore) func(context.Context, api.Request) (api.Response, error) {
		return api.Mux(slog.New(slog.DiscardHandler), handler.APIRoutes(activity.Ports{ReadStore: store, Events: startup.EventFactory()}.Reader()))
	}
	for _, call := range []struct {
		name  string
		event string
	}{
		{"GET /v1/me/activities?limit=200", `{"routeKey":"GET /v1/me/activities","queryStringParameters":{"limit":"200"}}`},
		{"GET /v1/me/stats?by=month", `{"routeKey":"GET /v1/me/stats","queryStringParameters":{"by":"month"}}`},
	} {
		var req api.Request
		if err := json.Unmarshal([]byte(call.event), &req); err != nil {
			return err
		}
		session := fmt.Sprintf(`{"requestContext":{"authorizer":{"lambda":{"athlete_id":"%d","generation":"%d","key":"false"}}}}`, athlete, generation)
		if err := json.Unmarshal([]byte(session), &req); err != nil {
			return err
		}
		over := func(store activity.ReadStore) sample {
			handle := handler(store)
			return timed(func(ctx context.Context) error {
				res, err := handle(ctx, req)
				if err == nil && res.StatusCode != http.StatusOK {
					err = fmt.Errorf("answered %d: %s", res.StatusCode, res.Body)
				}
				return err
			})
		}
		const rounds, warmUp = 300, 20
		before := table.count()
		res, err := r.compare(ctx, comparison{
			name: call.name, ours: over(stored), baseline: "in memory", base: over(memory), unit: "ns", rounds: rounds, warmUp: warmUp,
		})
		if err != nil {
			return err
		}
		requests := float64(table.count()-before) / (rounds + warmUp)
		res.DynamoDBRequests = &requests
	}
	return nil
}

// activitiesTable answers, over loopback, what the activity plane asks of
// DynamoDB for one athlete when nobody else writes: conditions hold, and ranges
// of keys are everything. What is asked for again is answered from memory, so
// that the table takes next to no time itself.
type activitiesTable struct {
	*httptest.Server
	mu       sync.Mutex
	items    map[string]map[string]json.RawMessage // by sort key
	queried  map[string][]byte                     // by the query
	requests int
}

func newActivitiesTable() *activitiesTable {
	t := &activitiesTable{items: map[string]map[string]json.RawMessage{}, queried: map[string][]byte{}}
	t.Server = httptest.NewServer(http.HandlerFunc(t.answer))
	return t
}

// count is how many requests there were so far.
func (t *activitiesTable) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

func (t *activitiesTable) answer(w http.ResponseWriter, r *http.Request) {
	type item = map[string]json.RawMessage
	var in struct {
		IndexName     string
		Limit         int
		TransactItems []struct{ Put struct{ Item item } }
		RequestItems  map[string]struct{ Keys []item }
	}
	asked, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(asked, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	if body, again := t.queried[string(asked)]; again {
		respond(w, body)
		return
	}
	var out any
	switch _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation {
	case "TransactWriteItems":
		for _, action := range in.TransactItems {
			if put := action.Put.Item; put != nil {
				t.items[string(put["sk"])] = put
			}
		}
		clear(t.queried)
		out = struct{}{}
	case "BatchGetItem":
		found := map[string][]item{}
		for table, wanted := range in.RequestItems {
			for _, key := range wanted.Keys {
				if i, ok := t.items[string(key["sk"])]; ok {
					found[table] = append(found[table], i)
				}
			}
		}
		out = map[string]any{"Responses": found}
	case "Query":
		var found []item
		for _, i := range t.items {
			if _, row := i["start"]; row == (in.IndexName != "") {
				found = append(found, i)
			}
		}
		slices.SortFunc(found, func(a, b item) int { return cmp.Compare(string(b["start"]), string(a["start"])) })
		if in.Limit > 0 {
			found = found[:min(in.Limit, len(found))]
		}
		out = map[string]any{"Items": found, "Count": len(found)}
	default:
		http.Error(w, operation+" is not answered here", http.StatusNotImplemented)
		return
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if in.TransactItems == nil {
		t.queried[string(asked)] = body
	}
	respond(w, body)
}
