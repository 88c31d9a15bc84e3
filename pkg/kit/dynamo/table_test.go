package dynamo_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

func TestBatchesAreSplitAndTheirLeftoversSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		table, api := tableOf(keys(150)...)
		api.processed = 60
		items, err := table.BatchGet(t.Context(), append(keys(150), key("missing")))
		if err != nil || len(items) != 150 {
			t.Errorf("got %d items, %v", len(items), err)
		}
		if want := []int{100, 40, 51}; !slices.Equal(api.batches, want) {
			t.Errorf("read batches of %v, want %v", api.batches, want)
		}
		api.batches, api.processed = nil, 10
		if err := table.BatchDelete(t.Context(), keys(40)); err != nil {
			t.Error(err)
		}
		if want := []int{25, 15, 5, 15, 5}; !slices.Equal(api.batches, want) || len(api.items) != 110 {
			t.Errorf("deleted batches of %v, want %v; %d items are left", api.batches, want, len(api.items))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("delayed by %v although each call processed some", took)
		}
	})
}

func TestBatchesGiveUpOnLeftovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, api := tableOf(keys(3)...)
		api.processed = -1
		began := time.Now()
		if _, err := table.BatchGet(t.Context(), keys(3)); !fault.Is(err, fault.Transient) {
			t.Error(err)
		}
		if len(api.batches) != dynamo.Usual.Tries || time.Since(began) == 0 {
			t.Errorf("%d calls in %v", len(api.batches), time.Since(began))
		}
		if err := table.BatchDelete(t.Context(), keys(3)); !fault.Is(err, fault.Transient) {
			t.Error(err)
		}
	})
}

func TestBatchesFailAtOnceIfTheTableDoes(t *testing.T) {
	table, api := tableOf(keys(3)...)
	calls := 0
	api.hook = func(string) error { calls++; return errors.New("throttled") }
	if _, err := table.BatchGet(t.Context(), keys(3)); !fault.Is(err, fault.Transient) {
		t.Error(err)
	}
	if err := table.BatchDelete(t.Context(), keys(3)); !fault.Is(err, fault.Transient) || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// cancelled is the error of a transaction whose actions ended with these codes.
func cancelled(codes ...string) error {
	out := &types.TransactionCanceledException{}
	for _, code := range codes {
		out.CancellationReasons = append(out.CancellationReasons, types.CancellationReason{Code: aws.String(code)})
	}
	return out
}

func TestErrorsHaveAKindOfFault(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{&types.ConditionalCheckFailedException{}, fault.Conflict},
		{&types.TransactionConflictException{}, fault.Conflict},
		{cancelled("None", "ConditionalCheckFailed"), fault.Conflict},
		{cancelled("TransactionConflict", "None"), fault.Conflict},
		{cancelled("None", "ThrottlingError"), fault.Conflict},
		{cancelled("ProvisionedThroughputExceeded"), fault.Conflict},
		{cancelled("None", "ValidationError"), fault.Transient},
		{&types.ProvisionedThroughputExceededException{}, fault.Transient},
		{errors.New("connection reset"), fault.Transient},
	} {
		table, api := tableOf()
		api.hook = func(string) error { return c.err }
		for what, err := range map[string]error{
			"put":      table.Put(t.Context(), &dynamodb.PutItemInput{Item: key("a")}),
			"transact": table.Transact(t.Context(), nil),
		} {
			if !fault.Is(err, c.want) || !errors.Is(err, c.err) {
				t.Errorf("%s: %v is of the kind %s, want %s", what, c.err, fault.Of(err), c.want)
			}
		}
	}
}

func TestAnItemOfAnotherFormIsPermanent(t *testing.T) {
	table, api := tableOf()
	api.items["a"] = dynamo.Item{"id": dynamo.Text("a"), "n": dynamo.Text("many")}
	if found, err := table.Get(t.Context(), key("a"), &counter{}); !found || !fault.Is(err, fault.Permanent) {
		t.Errorf("found %v, %v", found, err)
	}
	if _, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment); !fault.Is(err, fault.Permanent) {
		t.Error(err)
	}
}

func TestGetLeavesOutAloneIfThereIsNoItem(t *testing.T) {
	table, _ := tableOf()
	out := counter{N: 7}
	if found, err := table.Get(t.Context(), key("a"), &out); found || err != nil || out.N != 7 {
		t.Errorf("found %v, %v, %+v", found, err, out)
	}
}

func TestTransactionsReportWhichConditionFailed(t *testing.T) {
	table, api := tableOf()
	api.hook = func(string) error { return cancelled("None", "ConditionalCheckFailed", "TransactionConflict") }
	err := table.Transact(t.Context(), []types.TransactWriteItem{
		{Put: &types.Put{}}, {Delete: &types.Delete{}}, {Update: &types.Update{}}, {ConditionCheck: &types.ConditionCheck{}},
	})
	for action, want := range []bool{false, true, false, false} {
		if got := dynamo.ConditionFailed(err, action); got != want {
			t.Errorf("action %d: %v", action, got)
		}
	}
	single := fault.New(fault.Conflict, "put item: %w", &types.ConditionalCheckFailedException{})
	if !dynamo.ConditionFailed(single, 0) || dynamo.ConditionFailed(single, 1) || dynamo.ConditionFailed(&types.TransactionConflictException{}, 0) {
		t.Error("the condition of a single write is not reported")
	}
	if dynamo.ConditionFailed(errors.New("throttled"), 0) || dynamo.ConditionFailed(err, 4) {
		t.Error("the condition of an action without a reason failed")
	}
	if want := []string{"table", "table", "table", "table"}; !slices.Equal(api.tables, want) {
		t.Errorf("the actions are on the tables %q", api.tables)
	}
}

func TestQueriesAndScansReadAllPages(t *testing.T) {
	table, api := tableOf(keys(5)...)
	in, scan := &dynamodb.QueryInput{}, &dynamodb.ScanInput{}
	query := table.Query(t.Context(), in)
	// A sequence can be ranged over again, and starts from the first page.
	for range 2 {
		n := 0
		for items, err := range query {
			if err != nil {
				t.Fatal(err)
			}
			n += len(items)
		}
		for items, err := range table.Scan(t.Context(), scan) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(items)
		}
		counted, err := table.Count(t.Context(), in)
		if n != 10 || counted != 5 || err != nil {
			t.Errorf("read %d, counted %d, %v", n, counted, err)
		}
	}
	for _, err := range table.Query(t.Context(), in) {
		if err != nil {
			t.Fatal(err)
		}
		api.hook = func(string) error { t.Error("another page is read after a break"); return nil }
		break
	}
}

func TestQueriesAndScansEndAfterAnError(t *testing.T) {
	table, api := tableOf(keys(5)...)
	calls := 0
	api.hook = func(string) error {
		if calls++; calls%2 == 0 {
			return errors.New("throttled")
		}
		return nil
	}
	var errs []error
	for _, err := range table.Query(t.Context(), &dynamodb.QueryInput{}) {
		errs = append(errs, err)
	}
	for _, err := range table.Scan(t.Context(), &dynamodb.ScanInput{}) {
		errs = append(errs, err)
	}
	if len(errs) != 4 || errs[0] != nil || !fault.Is(errs[1], fault.Transient) || errs[2] != nil || !fault.Is(errs[3], fault.Transient) {
		t.Errorf("%v", errs)
	}
	if _, err := table.Count(t.Context(), &dynamodb.QueryInput{}); !fault.Is(err, fault.Transient) {
		t.Error(err)
	}
}

func TestTimesAreKeptInUTCWithoutTheirFractions(t *testing.T) {
	at := time.Date(2026, 11, 27, 1, 2, 3, 456_789_000, time.FixedZone("", 3600))
	if got, want := dynamo.MillisOf(at).Time(), time.Date(2026, 11, 27, 0, 2, 3, 456_000_000, time.UTC); got != want {
		t.Errorf("%v in milliseconds is %v", at, got)
	}
	if got, want := dynamo.SecondsOf(at).Time(), time.Date(2026, 11, 27, 0, 2, 3, 0, time.UTC); got != want {
		t.Errorf("%v in seconds is %v", at, got)
	}
	before := time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	if got, want := dynamo.MillisOf(before).Time(), before.Truncate(time.Millisecond); got != want {
		t.Errorf("%v in milliseconds is %v", before, got)
	}
	if dynamo.MillisOf(time.Time{}) != 0 || !dynamo.Millis(0).Time().IsZero() || dynamo.SecondsOf(time.Time{}) != 0 || !dynamo.Seconds(0).Time().IsZero() {
		t.Error("the zero time is not 0")
	}
}

func TestTimesAreNumbersInItems(t *testing.T) {
	type item struct {
		At      dynamo.Millis  `dynamodbav:"at,omitempty"`
		Expires dynamo.Seconds `dynamodbav:"expires,omitempty"`
	}
	encoded, err := dynamo.Encode(item{At: 1500, Expires: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got := encoded["at"].(*types.AttributeValueMemberN).Value + " " + encoded["expires"].(*types.AttributeValueMemberN).Value; got != "1500 2" {
		t.Errorf("encoded as %s", got)
	}
	if encoded, err := dynamo.Encode(item{}); err != nil || len(encoded) != 0 {
		t.Errorf("zero times are encoded as %v, %v", encoded, err)
	}
}
