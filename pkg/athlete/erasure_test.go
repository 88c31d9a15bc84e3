package athlete_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

// arrival is something that an erasure is made of: the athlete's request or an
// event.
type arrival struct {
	name string
	do   func(t *testing.T, p *plane)
}

func revoked(receipt string, requestedAt time.Time, linked ...string) arrival {
	return arrival{"revoked", func(t *testing.T, p *plane) {
		kittest.Must(t, p.AuthorizationRevoked(t.Context(), cause, credentialsv1.AuthorizationRevoked{
			AthleteID: 1, Generation: gen1, Receipt: receipt, RequestedAt: requestedAt, LinkedProviders: linked,
		}))
	}}
}

func unlinked(receipt string, requestedAt time.Time) arrival {
	return arrival{"unlinked", func(t *testing.T, p *plane) {
		kittest.Must(t, p.AccountUnlinked(t.Context(), cause, credentialsv1.AccountUnlinked{
			AthleteID: 1, Provider: "fitbit", AccountID: "A", Generation: 1, Receipt: receipt, RequestedAt: requestedAt,
		}))
	}}
}

func confirmed(receipt, part string, at time.Time) arrival {
	return arrival{part, func(t *testing.T, p *plane) { p.confirm(t, receipt, part, at) }}
}

// TestErasuresAreTheSameInEveryOrder: an erasure is complete once all of its
// events have arrived, and not before, in whatever order they come. Each may come
// again, at any time.
func TestErasuresAreTheSameInEveryOrder(t *testing.T) {
	const receipt = "receipt-1"
	minutes := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	others := []arrival{
		confirmed(receipt, athlete.PartCredentials, minutes(4)),
		confirmed(receipt, athlete.PartGathering, minutes(3)),
		confirmed(receipt, athlete.PartActivity, minutes(2)),
	}
	four := []string{"activity", "athlete", "credentials", "gathering"}
	five := []string{"activity", "athlete", "credentials", "fitbit", "gathering"}
	for name, tc := range map[string]struct {
		asked    bool // by the athlete, in our place
		arrivals []arrival
		parts    []string
		last     time.Time
		// needed are the arrivals that the erasure is not complete without.
		needed int
	}{
		"ended elsewhere": {false, with(others, revoked(receipt, start)), four, minutes(4), 4},
		"left":            {true, with(others, revoked(receipt, start)), four, minutes(4), 4},
		"left with a linked account": {
			true, with(others, revoked(receipt, start, "fitbit"), confirmed(receipt, "fitbit", minutes(5))), five, minutes(5), 5,
		},
		"unlinked": {
			false, []arrival{unlinked(receipt, start), confirmed(receipt, "fitbit", minutes(1))}, []string{"athlete", "fitbit"}, minutes(1), 2,
		},
		"confirmed twice by credentials, which was cut off in between": {
			false, with(others, revoked(receipt, start), confirmed(receipt, athlete.PartCredentials, minutes(9))), four, minutes(4), 4,
		},
		"ended twice, the second time without the link": {
			true, with(others, revoked(receipt, start, "fitbit"), confirmed(receipt, "fitbit", minutes(1)), revoked(receipt, minutes(1))), five, minutes(4), 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed, order := range orders(len(tc.arrivals)) {
				p := newPlane()
				if tc.asked {
					_, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen1})
					kittest.Must(t, err)
				}
				random := rand.New(rand.NewPCG(uint64(seed), 0))
				var story []string
				seen := map[string]bool{}
				for n, i := range order {
					for _, i := range []int{i, order[random.IntN(n+1)]} { // the next one, and one again
						story, seen[tc.arrivals[i].name] = append(story, tc.arrivals[i].name), true
						tc.arrivals[i].do(t, p)
					}
					e, err := p.Erasures.Erasure(t.Context(), receipt)
					kittest.Must(t, err)
					if !e.CompletedAt().IsZero() && len(seen) < tc.needed {
						t.Fatalf("after %v it is complete: %+v", story, e)
					}
				}
				e, err := p.Erasure(t.Context(), receipt)
				if err != nil || !e.CompletedAt().Equal(tc.last) || !e.RequestedAt.Equal(start) || !slices.Equal(e.Parts, tc.parts) {
					t.Fatalf("after %v: %+v, completed at %v, %v", story, e, e.CompletedAt(), err)
				}
			}
		})
	}
}

func with(arrivals []arrival, more ...arrival) []arrival { return slices.Concat(arrivals, more) }

// orders are all orders of the numbers below n.
func orders(n int) [][]int {
	if n == 0 {
		return [][]int{nil}
	}
	var all [][]int
	for _, order := range orders(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(order), i, n-1))
		}
	}
	return all
}

// TestAConfirmationBeforeTheRequestIsKept: the erasure cannot be looked up
// before the request arrives, and becomes overdue if it never does.
func TestAConfirmationBeforeTheRequestIsKept(t *testing.T) {
	p := newPlane()
	p.confirm(t, "r", athlete.PartGathering, start)
	if _, err := p.Erasure(t.Context(), "r"); !errors.Is(err, athlete.ErrNoErasure) {
		t.Errorf("looked up: %v", err)
	}
	p.now = start.Add(athlete.ErasureTime)
	report, err := p.deadlines().Enforce(t.Context())
	if want := (athlete.ErasureCounts{Pending: 1, Overdue: 1}); err != nil || report.Erasures != want {
		t.Errorf("%+v, %v, want %+v", report.Erasures, err, want)
	}
}

// TestIssuedReceiptsAreCounted each once, including those that this plane does
// not know.
func TestIssuedReceiptsAreCounted(t *testing.T) {
	p := newPlane()
	p.now = start.Add(2 * time.Hour)
	p.revoke(t, gen1, "pending")
	p.revoke(t, gen1, "done")
	p.confirmOthers(t, "done", start)
	issued := []athlete.IssuedReceipt{
		{"pending", start}, {"done", start}, {"unknown", start.Add(time.Hour + time.Second)}, {"unknown", start}, {"unknown, late", start},
	}
	for _, tc := range []struct {
		issued []athlete.IssuedReceipt
		want   athlete.ErasureCounts
	}{
		{nil, athlete.ErasureCounts{Pending: 1, Overdue: 1, Completed: 1}},
		{issued[:2], athlete.ErasureCounts{Pending: 1, Overdue: 1, Completed: 1}},
		{issued, athlete.ErasureCounts{Pending: 3, Overdue: 2, Completed: 1}},
	} {
		got, err := p.ports.ErasureCounter().Count(t.Context(), tc.issued)
		if err != nil || got != tc.want {
			t.Errorf("with %v: %+v, %v, want %+v", tc.issued, got, err, tc.want)
		}
	}
	broken := p.ports.ErasureCounter()
	broken.Inventory = unreadable{}
	if _, err := broken.Count(t.Context(), nil); !fault.Is(err, fault.Transient) {
		t.Errorf("unreadable: %v", err)
	}
}

type unreadable struct{}

func (unreadable) Each(context.Context, athlete.Visitor) error {
	return fault.New(fault.Transient, "not now")
}

// TestAPartThatIsNotNamedCompletesNothing: an erasure is complete when its own
// parts have confirmed, however many others did.
func TestAPartThatIsNotNamedCompletesNothing(t *testing.T) {
	p := newPlane()
	p.revoke(t, gen1, "r")
	for _, part := range []string{"fitbit", athlete.PartGathering, athlete.PartActivity} {
		p.confirm(t, "r", part, start)
	}
	if e, err := p.Erasure(t.Context(), "r"); err != nil || !e.CompletedAt().IsZero() {
		t.Errorf("complete without credentials: %+v, %v", e, err)
	}
	p.confirm(t, "r", athlete.PartCredentials, start)
	if e, err := p.Erasure(t.Context(), "r"); err != nil || e.CompletedAt().IsZero() {
		t.Errorf("not complete: %+v, %v", e, err)
	}
}

// TestAnErasureIsShownFor30DaysFromItsCompletion, and until then without end.
func TestAnErasureIsShownFor30DaysFromItsCompletion(t *testing.T) {
	p := newPlane()
	p.revoke(t, gen1, "r")
	p.now = start.Add(40 * 24 * time.Hour)
	if e, err := p.Erasure(t.Context(), "r"); err != nil || !e.CompletedAt().IsZero() {
		t.Errorf("pending for 40 days: %+v, %v", e, err)
	}
	p.confirmOthers(t, "r", p.now)
	p.now = p.now.Add(retention.Receipt - time.Second)
	e, err := p.Erasure(t.Context(), "r")
	if want := start.Add(40*24*time.Hour + retention.Copies); err != nil || !e.CopiesGoneBy().Equal(want) {
		t.Errorf("completed for 30 days: %v, %v, want %v", e.CopiesGoneBy(), err, want)
	}
}

// TestConfirmationsAloneAreOverdueSinceTheFirst.
func TestConfirmationsAloneAreOverdueSinceTheFirst(t *testing.T) {
	p := newPlane()
	p.confirm(t, "r", athlete.PartActivity, start.Add(30*time.Minute))
	p.confirm(t, "r", athlete.PartGathering, start)
	p.confirm(t, "r", athlete.PartCredentials, start.Add(45*time.Minute))
	p.now = start.Add(athlete.ErasureTime)
	counts, err := p.ports.ErasureCounter().Count(t.Context(), nil)
	if want := (athlete.ErasureCounts{Pending: 1, Overdue: 1}); err != nil || counts != want {
		t.Errorf("%+v, %v, want %+v", counts, err, want)
	}
}

// cutOff lets a number of writes pass. The next one fails, after it was written if
// lost is set.
type cutOff struct {
	left int
	lost bool
}

func (c *cutOff) write(do func() error) error {
	c.left--
	if c.left == -1 && !c.lost {
		return fault.New(fault.Transient, "refused")
	}
	err := do()
	if c.left == -1 {
		return fault.New(fault.Transient, "the answer is lost")
	}
	return err
}

type cutOffAccounts struct {
	athlete.Accounts
	*cutOff
}

func (s cutOffAccounts) Update(ctx context.Context, id int64, change func(*athlete.Account) (bool, error)) (a athlete.Account, err error) {
	err = s.write(func() (err error) { a, err = s.Accounts.Update(ctx, id, change); return err })
	return a, err
}

type cutOffErasures struct {
	athlete.Erasures
	*cutOff
}

func (s cutOffErasures) Update(ctx context.Context, receipt string, change func(*athlete.Erasure) (bool, error)) (e athlete.Erasure, err error) {
	err = s.write(func() (err error) { e, err = s.Erasures.Update(ctx, receipt, change); return err })
	return e, err
}

// TestAnEventCutOffAtAnyWriteIsHandledByARepetition: the failure is returned, so
// that the queue delivers the event again, and the repetition completes the work.
func TestAnEventCutOffAtAnyWriteIsHandledByARepetition(t *testing.T) {
	events := map[string]struct {
		writes int
		handle func(context.Context, *plane) error
	}{
		"revoked": {3, func(ctx context.Context, p *plane) error {
			return p.AuthorizationRevoked(ctx, cause, credentialsv1.AuthorizationRevoked{
				AthleteID: 1, Generation: gen1, Receipt: "r", RequestedAt: start,
			})
		}},
		"unlinked": {3, func(ctx context.Context, p *plane) error {
			return p.AccountUnlinked(ctx, cause, credentialsv1.AccountUnlinked{
				AthleteID: 1, Provider: "fitbit", AccountID: "A", Generation: gen1, Receipt: "r", RequestedAt: start,
			})
		}},
		"confirmed": {1, func(ctx context.Context, p *plane) error {
			return p.ErasureCompleted(ctx, cause, "r", athlete.PartAthlete)
		}},
	}
	for name, e := range events {
		for n := range e.writes {
			for _, lost := range []bool{false, true} {
				p := newPlane()
				p.authorize(t, gen1, "read")
				p.link(t, gen1, gen1, "A")
				accounts, erasures := p.Accounts, p.Erasures
				cut := &cutOff{left: n, lost: lost}
				p.Accounts, p.Erasures = cutOffAccounts{accounts, cut}, cutOffErasures{erasures, cut}
				if err := e.handle(t.Context(), p); !fault.Is(err, fault.Transient) {
					t.Errorf("%s, write %d, lost %v: %v", name, n, lost, err)
				}
				p.Accounts, p.Erasures = accounts, erasures
				kittest.Must(t, e.handle(t.Context(), p))
				erasure, err := erasures.Erasure(t.Context(), "r")
				kittest.Must(t, err)
				if _, confirmed := erasure.Confirmed[athlete.PartAthlete]; !confirmed {
					t.Errorf("%s, write %d, lost %v: not confirmed: %+v", name, n, lost, erasure)
				}
				a, err := accounts.Account(t.Context(), 1)
				kittest.Must(t, err)
				if name != "confirmed" && len(a.LinkedAccounts()) > 0 {
					t.Errorf("%s, write %d, lost %v: the link is left", name, n, lost)
				}
			}
		}
	}
}
