package dynamo

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/startup"
)

// Revision identifies the last write of an item; it is empty for an item that
// does not exist. Embed it in the struct of an item that writes are conditional
// on. It is random rather than a count, so that an item which was deleted and
// written again never looks unchanged.
type Revision struct {
	Revision string `dynamodbav:"revision"`
}

// NewRevision returns the revision of a new write.
func NewRevision() Revision { return Revision{crand.Text()} }

// Unchanged returns the condition that an item still has the revision, and the
// condition's values.
func (r Revision) Unchanged() (condition *string, values Item) {
	if r.Revision == "" {
		return aws.String("attribute_not_exists(revision)"), nil
	}
	return aws.String("revision = :revision"), Item{":revision": Text(r.Revision)}
}

func (r *Revision) stamp() *Revision { return r }

// revised is a pointer to an item that embeds a [Revision].
type revised[I any] interface {
	*I
	stamp() *Revision
}

// Update reads the item with the key, calls change with it, and writes it on
// the condition that no other write came in between; otherwise it starts over,
// so change may run several times. For an item that does not exist change gets
// the zero item. Nothing is written if change returns an error or reports that
// it changed nothing. The item must embed a [Revision], which Update maintains,
// and change must leave the item's key attributes set.
//
// Update returns the item as change left it, which is what the table holds
// unless change failed. It returns change's error as it is, and a transient
// fault after b.Tries conflicts.
func Update[I any, P revised[I]](ctx context.Context, t Table, b Backoff, key Item, change func(*I) (changed bool, err error)) (I, error) {
	var item I
	var refused error // change's error, which may be a conflict of another kind
	err := b.Retry(ctx, func() error {
		item = *new(I)
		if _, err := t.Get(ctx, key, &item); err != nil {
			return err
		}
		seen := *P(&item).stamp()
		changed, err := change(&item)
		if err != nil || !changed {
			refused = err
			return nil
		}
		*P(&item).stamp() = NewRevision()
		encoded, err := Encode(item)
		if err != nil {
			return err
		}
		condition, values := seen.Unchanged()
		return t.Put(ctx, &dynamodb.PutItemInput{Item: encoded, ConditionExpression: condition, ExpressionAttributeValues: values})
	})
	if err == nil {
		err = refused
	}
	return item, err
}

// Backoff says how often a write that conflicts with another one is tried, and
// how long to wait in between.
type Backoff struct {
	// Tries is how often the write is tried at most.
	Tries int
	// Delay returns the longest wait after an attempt, the first of which is 0.
	// The wait is random, so that writers that conflicted do not conflict again.
	Delay func(attempt int) time.Duration
}

// Usual is for an item that a few processes write at a time.
var Usual = Backoff{Tries: 20, Delay: func(attempt int) time.Duration {
	return time.Duration(min(attempt+1, 10)) * 10 * time.Millisecond
}}

// Crowded is for an item that every process writes: the delays double.
var Crowded = Backoff{Tries: 60, Delay: func(attempt int) time.Duration {
	return min(4*time.Millisecond<<min(attempt, 6), 250*time.Millisecond)
}}

// Retry calls do until it returns anything but a [fault.Conflict], with a
// random delay after each conflict. It returns a transient fault after b.Tries
// conflicts, or if ctx ends during a delay.
func (b Backoff) Retry(ctx context.Context, do func() error) error {
	return b.until(ctx, func() (done bool, err error) {
		err = do()
		return !fault.Is(err, fault.Conflict), err
	})
}

// until calls do until it is done, at most b.Tries times, with a random delay
// between two calls.
func (b Backoff) until(ctx context.Context, do func() (done bool, err error)) error {
	var last error
	for attempt := range b.Tries {
		if attempt > 0 {
			if err := startup.Sleep(ctx, rand.N(b.Delay(attempt-1)+1)); err != nil {
				return fault.New(fault.Transient, "wait before attempt %d: %w", attempt+1, err)
			}
		}
		done, err := do()
		if done {
			return err
		}
		last = err
	}
	return fault.New(fault.Transient, "gave up after %d attempts: %w", b.Tries, last)
}
