package dynamo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/pkg/kit/dynamo"
	"github.com/paceline/paceline/pkg/kit/fault"
)

type counter struct {
	dynamo.Revision
	ID string `dynamodbav:"id"`
	N  int    `dynamodbav:"n"`
}

// increment is a change that always changes the counter.
func increment(c *counter) (bool, error) {
	c.ID = "a"
	c.N++
	return true, nil
}

func mustCounter(t *testing.T, table dynamo.Table) counter {
	t.Helper()
	var c counter
	if _, err := table.Get(t.Context(), key("a"), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUpdateWritesWhatChangeMakesOfTheItem(t *testing.T) {
	table, _ := tableOf()
	var revisions []string
	for n := range 2 {
		got, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment)
		if err != nil {
			t.Fatal(err)
		}
		if stored := mustCounter(t, table); got != stored || got.N != n+1 || got.ID != "a" {
			t.Errorf("update %d returned %+v and stored %+v", n, got, stored)
		}
		revisions = append(revisions, got.Revision.Revision)
	}
	if revisions[0] == "" || revisions[0] == revisions[1] {
		t.Errorf("the revisions are %q", revisions)
	}
}

func TestUpdateRunsChangeAgainOnTheNewItemAfterAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, api := tableOf()
		runs := 0
		_, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(c *counter) (bool, error) {
			if runs++; runs == 1 {
				// Another writer comes in between.
				if _, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(c *counter) (bool, error) {
					*c = counter{ID: "a", N: 10}
					return true, nil
				}); err != nil {
					t.Error(err)
				}
			}
			return increment(c)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := mustCounter(t, table); got.N != 11 || runs != 2 || api.puts != 3 {
			t.Errorf("%d after %d runs and %d writes", got.N, runs, api.puts)
		}
	})
}

func TestUpdateNoticesAnItemThatWasDeletedAndWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, api := tableOf()
		if _, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment); err != nil {
			t.Fatal(err)
		}
		runs := 0
		_, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(c *counter) (bool, error) {
			if runs++; runs == 1 {
				delete(api.items, "a")
				if _, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment); err != nil {
					t.Error(err)
				}
			}
			return increment(c)
		})
		if got := mustCounter(t, table); err != nil || got.N != 2 || runs != 2 {
			t.Errorf("%d after %d runs, %v", got.N, runs, err)
		}
	})
}

func TestUpdateStartsOverFromTheZeroItemIfTheItemWasDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, api := tableOf()
		if _, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment); err != nil {
			t.Fatal(err)
		}
		got, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(c *counter) (bool, error) {
			delete(api.items, "a")
			return increment(c)
		})
		if err != nil || got.N != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func TestUpdateWritesNothingIfNothingChanged(t *testing.T) {
	table, api := tableOf()
	if _, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment); err != nil {
		t.Fatal(err)
	}
	before, puts := mustCounter(t, table), api.puts
	got, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(*counter) (bool, error) { return false, nil })
	if err != nil || got != before || api.puts != puts {
		t.Errorf("%+v, %v, %d writes", got, err, api.puts-puts)
	}
}

func TestUpdateReturnsChangesErrorAsItIs(t *testing.T) {
	for _, want := range []error{
		errors.New("refused"),
		fault.New(fault.Conflict, "a conflict of the domain"),
		fault.New(fault.Permanent, "over"),
	} {
		table, api := tableOf()
		runs := 0
		_, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(c *counter) (bool, error) {
			runs++
			_, _ = increment(c)
			return true, want
		})
		if !errors.Is(err, want) || runs != 1 || api.puts != 0 {
			t.Errorf("%v: %v after %d runs and %d writes", want, err, runs, api.puts)
		}
	}
}

func TestUpdateKeepsTheRevisionFromChange(t *testing.T) {
	table, _ := tableOf()
	for range 2 {
		_, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), func(c *counter) (bool, error) {
			*c = counter{ID: "a", N: c.N + 1} // Replaces the revision, too.
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := mustCounter(t, table); got.N != 2 {
		t.Errorf("%+v", got)
	}
}

func TestUpdateGivesUpAfterItsTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, api := tableOf()
		runs := 0
		b := dynamo.Backoff{Tries: 7, Delay: func(int) time.Duration { return time.Second }}
		_, err := dynamo.Update(t.Context(), table, b, key("a"), func(c *counter) (bool, error) {
			runs++
			api.items["a"] = dynamo.Item{"id": dynamo.Text("a"), "revision": dynamo.Text(dynamo.NewRevision().Revision)}
			return increment(c)
		})
		if !fault.Is(err, fault.Transient) || runs != 7 || api.puts != 7 {
			t.Errorf("%v after %d runs and %d writes", err, runs, api.puts)
		}
	})
}

func TestUpdateFailsAtOnceIfTheTableDoes(t *testing.T) {
	for _, call := range []string{"get", "put"} {
		table, api := tableOf()
		calls := 0
		api.hook = func(c string) error {
			if c != call {
				return nil
			}
			calls++
			return errors.New("throttled")
		}
		_, err := dynamo.Update(t.Context(), table, dynamo.Usual, key("a"), increment)
		if !fault.Is(err, fault.Transient) || calls != 1 {
			t.Errorf("%s: %v after %d calls", call, err, calls)
		}
	}
}

var errCrossed = fault.New(fault.Conflict, "crossed")

func TestRetryPausesBetweenAttemptsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var delays []int
		b := dynamo.Backoff{Tries: 4, Delay: func(attempt int) time.Duration {
			delays = append(delays, attempt)
			return time.Second
		}}
		began := time.Now()
		if err := b.Retry(t.Context(), func() error { return errCrossed }); !fault.Is(err, fault.Transient) {
			t.Error(err)
		}
		if took := time.Since(began); len(delays) != 3 || delays[0] != 0 || delays[2] != 2 || took == 0 || took > 3*time.Second {
			t.Errorf("delays after %v, %v in all", delays, took)
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	b := dynamo.Backoff{Tries: 2, Delay: func(int) time.Duration { return time.Hour }}
	err := b.Retry(ctx, func() error { calls++; cancel(); return errCrossed })
	if !fault.Is(err, fault.Transient) || !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestRetryNeedsNoPause(t *testing.T) {
	b := dynamo.Backoff{Tries: 3, Delay: func(int) time.Duration { return 0 }}
	calls := 0
	_ = b.Retry(t.Context(), func() error { calls++; return errCrossed })
	if calls != 3 {
		t.Errorf("%d calls", calls)
	}
}

func TestPausesGrowUpToALimit(t *testing.T) {
	for name, b := range map[string]dynamo.Backoff{"usual": dynamo.Usual, "crowded": dynamo.Crowded} {
		for attempt := range b.Tries {
			now, next := b.Delay(attempt), b.Delay(attempt+1)
			if now <= 0 || next < now || next > 250*time.Millisecond {
				t.Errorf("%s: %v, then %v", name, now, next)
			}
		}
	}
}
