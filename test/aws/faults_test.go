package aws_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/credentials/ddb"
	"github.com/paceline/paceline/pkg/credentials/kms"
	"github.com/paceline/paceline/pkg/credentials/settings"
	"github.com/paceline/paceline/pkg/credentials/ssm"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/test/awsfault"
)

// stores are the adapters that hold an account's tokens and grant, over one
// configuration.
type stores struct {
	vault  credentials.Vault
	grants credentials.Grants
	sealer credentials.Sealer
}

var testPair = credentials.TokenPair{
	Access: secret.New("access"), Refresh: secret.New("refresh"), ExpiresAt: time.Date(2026, 11, 27, 18, 0, 0, 0, time.UTC),
}

func samePair(a, b credentials.TokenPair) bool {
	return a.Access.Equal(b.Access) && a.Refresh.Equal(b.Refresh) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// storeCall is one use of a store.
type storeCall struct {
	service, operation string
	// prepare is called before anything fails.
	prepare func(context.Context, stores, credentials.Account) error
	// call uses the store and checks the answer.
	call func(context.Context, stores, credentials.Account) error
	// happened reports whether the call changed the store; nil for a call that
	// changes nothing.
	happened func(context.Context, stores, credentials.Account) (bool, error)
}

var errWrongAnswer = errors.New("the answer is wrong")

func saveTokens(ctx context.Context, s stores, a credentials.Account) error {
	version, err := s.vault.SaveTokens(ctx, a, 7, testPair)
	if err == nil && version < 1 {
		return fmt.Errorf("%w: version %d", errWrongAnswer, version)
	}
	return err
}

func holdsTokens(ctx context.Context, s stores, a credentials.Account) (bool, error) {
	pair, _, err := s.vault.Latest(ctx, a, 7)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return samePair(pair, testPair), err
}

func activate(ctx context.Context, s stores, a credentials.Account) error {
	grant, err := s.grants.Update(ctx, a, func(g *credentials.Grant) (bool, error) {
		g.State, g.Generation = credentials.Active, 7
		return true, nil
	})
	if err == nil && grant.State != credentials.Active {
		return fmt.Errorf("%w: state %q", errWrongAnswer, grant.State)
	}
	return err
}

func isActive(ctx context.Context, s stores, a credentials.Account) (bool, error) {
	grant, err := s.grants.Grant(ctx, a)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return grant.State == credentials.Active && grant.Generation == 7, err
}

var storeCalls = map[string]storeCall{
	"save tokens": {service: "ssm", operation: "PutParameter", call: saveTokens, happened: holdsTokens},
	"read tokens": {
		service: "ssm", operation: "GetParameter", prepare: saveTokens,
		call: func(ctx context.Context, s stores, a credentials.Account) error {
			pair, err := s.vault.Tokens(ctx, a, 7, 1)
			if err == nil && !samePair(pair, testPair) {
				return errWrongAnswer
			}
			return err
		},
	},
	"drop tokens": {
		service: "ssm", operation: "DeleteParameter", prepare: saveTokens,
		call: func(ctx context.Context, s stores, a credentials.Account) error {
			return s.vault.DeleteTokens(ctx, a, 7)
		},
		happened: func(ctx context.Context, s stores, a credentials.Account) (bool, error) {
			holds, err := holdsTokens(ctx, s, a)
			return !holds, err
		},
	},
	"update a grant": {service: "dynamodb", operation: "PutItem", call: activate, happened: isActive},
	"read a grant": {
		service: "dynamodb", operation: "GetItem", prepare: activate,
		call: func(ctx context.Context, s stores, a credentials.Account) error {
			active, err := isActive(ctx, s, a)
			if err == nil && !active {
				return errWrongAnswer
			}
			return err
		},
	},
	"prepare a seal": {
		service: "kms", operation: "GenerateDataKey",
		call: func(ctx context.Context, s stores, a credentials.Account) error {
			seal, err := s.sealer.NewSeal(ctx, a.Provider)
			if err != nil {
				return err
			}
			sealed, err := seal(a, testPair)
			if err == nil && (len(sealed) == 0 || bytes.Contains(sealed, []byte("refresh"))) {
				return errWrongAnswer
			}
			return err
		},
	},
	"open a seal": {
		service: "kms", operation: "Decrypt",
		call: func(ctx context.Context, s stores, a credentials.Account) error {
			seal, err := s.sealer.NewSeal(ctx, a.Provider)
			if err != nil {
				return err
			}
			sealed, err := seal(a, testPair)
			if err != nil {
				return err
			}
			pair, err := s.sealer.Open(ctx, a, sealed)
			if err == nil && !samePair(pair, testPair) {
				return errWrongAnswer
			}
			return err
		},
	},
}

// throttling is the code by which a service throttles.
var throttling = map[string]string{
	"ssm": "ThrottlingException", "kms": "ThrottlingException", "dynamodb": "ProvisionedThroughputExceededException",
}

// storeTrouble is a fault of a store and its effect on a call.
type storeTrouble struct {
	// fault happens to every call that when selects, of the service given.
	fault func(service string) awsfault.Fault
	when  awsfault.Bound
	// limit is how long the caller waits; zero for as long as it takes.
	limit time.Duration
	// fails says that the call reports a transient fault.
	fails bool
	// happens says that the call had changed the store when it returned, and later
	// that it does so when the trouble is over.
	happens, later bool
}

// callerLimit is how long a caller waits for a store that does not answer.
const callerLimit = time.Second

func always(f awsfault.Fault) func(string) awsfault.Fault {
	return func(string) awsfault.Fault { return f }
}

func throttle(service string) awsfault.Fault { return awsfault.Refuse(throttling[service]) }

var storeTroubles = map[string]storeTrouble{
	"throttles twice":           {fault: throttle, when: awsfault.First(2), happens: true},
	"throttles":                 {fault: throttle, fails: true},
	"is slow":                   {fault: always(awsfault.Delay(50 * time.Millisecond)), happens: true},
	"is slower than the caller": {fault: always(awsfault.Delay(time.Hour)), limit: callerLimit, fails: true, later: true},
	"swallows calls":            {fault: always(awsfault.Swallow), limit: callerLimit, fails: true},
	"loses one answer":          {fault: always(awsfault.LoseResponse), when: awsfault.First(1), happens: true},
	"loses answers":             {fault: always(awsfault.LoseResponse), fails: true, happens: true},
	"hangs within its answers":  {fault: always(awsfault.HangAfterHeaders), limit: callerLimit, fails: true, happens: true},
	"has internal errors":       {fault: always(awsfault.Refuse("InternalServerError")), fails: true},
	"has one internal error":    {fault: always(awsfault.Refuse("InternalServerError")), when: awsfault.First(1), happens: true},
}

// TestStoresInTrouble: each adapter that holds tokens or grants reports a
// transient fault before the caller's time is over, its report agrees with the
// store's content, and the same call succeeds once the trouble is over. A lost
// answer means that the call happened.
func TestStoresInTrouble(t *testing.T) {
	table, key, path := mustGrantsTable(t), mustKey(t, awskms.CreateKeyInput{}), "/paceline/test/"+rand.Text()
	over := func(cfg aws.Config) stores {
		return stores{
			vault:  ssm.New(awsssm.NewFromConfig(cfg), path, key, settings.TierStandard),
			grants: ddb.NewGrants(dynamodb.NewFromConfig(cfg), table),
			sealer: kms.NewSealer(awskms.NewFromConfig(cfg), key),
		}
	}
	direct := over(mustConfig(t))
	var athletes atomic.Int64
	t.Run("", func(t *testing.T) { // Ends before the table is deleted.
		for callName, call := range storeCalls {
			for troubleName, trouble := range storeTroubles {
				t.Run(callName+" while the store "+troubleName, func(t *testing.T) {
					t.Parallel()
					proxy, cfg := mustProxy(t)
					cfg.Retryer = atOnce
					meetTrouble(t, call, trouble, proxy, over(cfg), direct, credentials.Athlete(athletes.Add(1)))
				})
			}
		}
	})
}

// atOnce repeats calls as often as the SDK does by default, without its pauses.
func atOnce() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
	})
}

func meetTrouble(t *testing.T, c storeCall, trouble storeTrouble, proxy *awsfault.Proxy, faulty, direct stores, account credentials.Account) {
	if c.prepare != nil {
		if err := c.prepare(t.Context(), direct, account); err != nil {
			t.Fatal(err)
		}
	}
	happened := func() bool {
		t.Helper()
		yes, err := c.happened(t.Context(), direct, account)
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	met := trouble.fault(c.service)
	release := proxy.Add(awsfault.Rule{Service: c.service, Operation: c.operation, When: trouble.when, Fault: met})

	ctx, cancel := t.Context(), context.CancelFunc(func() {})
	if trouble.limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, trouble.limit)
	}
	err := c.call(ctx, faulty, account)
	cancel()
	if trouble.fails != (err != nil) || trouble.fails && !fault.Is(err, fault.Transient) {
		t.Errorf("fails %v, got %v", trouble.fails, err)
	}
	if trouble.limit > 0 && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's time was over, got %v", err)
	}
	if proxy.Counts()[awsfault.Count{Service: c.service, Operation: c.operation, Fault: met}] == 0 {
		t.Errorf("no call met the fault: %v", proxy.Counts())
	}
	if c.happened != nil && happened() != trouble.happens {
		t.Errorf("the call changed the store: %v", !trouble.happens)
	}

	release()
	if c.happened != nil && trouble.later {
		for deadline := time.Now().Add(30 * time.Second); !happened(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the late call did not happen")
			}
		}
	}
	if err := c.call(t.Context(), faulty, account); err != nil {
		t.Errorf("after the trouble: %v", err)
	}
	if c.happened != nil && !happened() {
		t.Error("after the trouble: the call changed nothing")
	}
}
