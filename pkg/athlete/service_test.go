package athlete_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

const (
	gen1 int64 = 1_800_000_000_000
	gen2 int64 = 1_800_000_100_000
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

type plane struct {
	*athlete.Service
	store     *athletetest.Store
	now       time.Time
	published []event.Event
	refuse    error
}

func (p *plane) Publish(_ context.Context, events ...event.Event) error {
	if p.refuse != nil {
		return p.refuse
	}
	p.published = append(p.published, events...)
	return nil
}

func (p *plane) facts() (out []event.Fact) {
	for _, e := range p.published {
		out = append(out, e.Fact)
	}
	return out
}

func newPlane() *plane {
	p := &plane{store: athletetest.NewStore(), now: start}
	ids, receipts := 0, 0
	p.Service = &athlete.Service{
		Accounts: p.store, Erasures: p.store, Publisher: p,
		Minter: event.Minter{
			Now:   func() time.Time { return p.now },
			NewID: func() string { ids++; return fmt.Sprint("id-", ids) },
		},
		NewReceipt: func() string { receipts++; return fmt.Sprint("receipt-", receipts) },
	}
	return p
}

var cause = event.Meta{ID: "cause", OccurredAt: start, CorrelationID: "correlation"}

func (p *plane) gather(t *testing.T, generation int64, at int, name string) {
	t.Helper()
	must(t, p.AthleteGathered(t.Context(), cause, gatheringv1.AthleteGathered{
		AthleteID: 1, Generation: generation, ReadAt: start.Add(time.Duration(at) * time.Second),
		Athlete: gatheringv1.Athlete{ID: 1, Firstname: name},
	}))
}

func (p *plane) revoke(t *testing.T, generation int64, receipt string) {
	t.Helper()
	must(t, p.AuthorizationRevoked(t.Context(), cause, credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: generation, Receipt: receipt}))
}

// name is the first name that a session of the generation sees; "-" without a
// profile, "401" without a right to see anything.
func (p *plane) name(t *testing.T, generation int64) string {
	t.Helper()
	me, err := p.Me(t.Context(), athlete.Session{AthleteID: 1, Generation: generation})
	if errors.Is(err, athlete.ErrRevoked) {
		return "401"
	}
	must(t, err)
	if me.ID != 1 {
		t.Fatalf("the profile of %d", me.ID)
	}
	if me == (gatheringv1.Athlete{ID: 1}) {
		return "-"
	}
	return me.Firstname
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMe(t *testing.T) {
	p := newPlane()
	if got := p.name(t, gen1); got != "-" {
		t.Errorf("before anything is read: %s", got)
	}
	p.gather(t, gen1, 0, "Ada")
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("got %s", got)
	}
	other, err := p.Me(t.Context(), athlete.Session{AthleteID: 11, Generation: gen1})
	if err != nil || other != (gatheringv1.Athlete{ID: 11}) {
		t.Errorf("another sees %+v, %v", other, err)
	}
}

// The end is the same in whatever order readings and revocations come, and
// however often.
func TestAccountIsTheSameInEveryOrder(t *testing.T) {
	steps := map[string]func(t *testing.T, p *plane){
		"read 1":     func(t *testing.T, p *plane) { p.gather(t, gen1, 0, "first") },
		"re-read 1":  func(t *testing.T, p *plane) { p.gather(t, gen1, 9, "second") },
		"read 2":     func(t *testing.T, p *plane) { p.gather(t, gen2, 5, "third") },
		"revoke 1":   func(t *testing.T, p *plane) { p.revoke(t, gen1, "r1") },
		"revoke 2":   func(t *testing.T, p *plane) { p.revoke(t, gen2, "r2") },
		"before all": func(t *testing.T, p *plane) { p.revoke(t, gen1-1, "r0") },
	}
	for _, tc := range []struct {
		steps      []string
		see1, see2 string
	}{
		{[]string{"read 1", "re-read 1", "before all"}, "second", "second"},
		{[]string{"read 1", "re-read 1", "read 2"}, "third", "third"},
		{[]string{"read 1", "re-read 1", "revoke 1"}, "401", "-"},
		{[]string{"read 1", "revoke 1", "read 2"}, "401", "third"},
		{[]string{"read 1", "revoke 1", "read 2", "revoke 2"}, "401", "401"},
	} {
		for _, order := range permutations(tc.steps) {
			p := newPlane()
			for _, name := range slices.Concat(order, order) {
				steps[name](t, p)
			}
			if see1, see2 := p.name(t, gen1), p.name(t, gen2); see1 != tc.see1 || see2 != tc.see2 {
				t.Errorf("after %v: %s and %s, want %s and %s", order, see1, see2, tc.see1, tc.see2)
			}
		}
	}
}

func permutations(s []string) [][]string {
	if len(s) == 0 {
		return [][]string{nil}
	}
	var out [][]string
	for _, p := range permutations(s[1:]) {
		for i := range len(s) {
			out = append(out, slices.Insert(slices.Clone(p), i, s[0]))
		}
	}
	return out
}

func TestLeaveIsDurableThenAnnounced(t *testing.T) {
	p := newPlane()
	by := athlete.Session{AthleteID: 1, Generation: gen1}
	p.refuse = fault.New(fault.Transient, "the bus is away")
	if _, err := p.Leave(t.Context(), by); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	// Not announced, and yet remembered.
	e, err := p.Erasure(t.Context(), "receipt-1")
	must(t, err)
	want := athlete.Erasure{Receipt: "receipt-1", RequestedAt: start}
	if d := cmp.Diff(want, e); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	p.refuse, p.now = nil, start.Add(time.Minute)
	for range 2 {
		receipt, err := p.Leave(t.Context(), by)
		must(t, err)
		if receipt != "receipt-1" {
			t.Errorf("receipt %s", receipt)
		}
	}
	requested := athletev1.ErasureRequested{AthleteID: 1, Generation: gen1, Receipt: "receipt-1", RequestedAt: start}
	if d := cmp.Diff([]event.Fact{requested, requested}, p.facts()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if p.published[0].Meta.ID == p.published[1].Meta.ID {
		t.Error("two events of one id")
	}
}

func TestLeaveFromBeginToEnd(t *testing.T) {
	p := newPlane()
	by := athlete.Session{AthleteID: 1, Generation: gen1}
	p.gather(t, gen1, 0, "Ada")
	receipt, err := p.Leave(t.Context(), by)
	must(t, err)
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("while leaving: %s", got)
	}
	p.revoke(t, gen1, receipt)
	p.gather(t, gen1, 9, "late")
	if got := p.name(t, gen1); got != "401" {
		t.Errorf("after leaving: %s", got)
	}
	if _, err := p.Leave(t.Context(), by); !errors.Is(err, athlete.ErrRevoked) {
		t.Errorf("leaving again: %v", err)
	}
	completed := athletev1.ErasureCompleted{Receipt: receipt}
	if facts := p.facts(); len(facts) != 2 || facts[1] != completed || p.published[1].Meta.CausationID != "cause" {
		t.Errorf("published %+v", p.published)
	}
	account, err := p.store.Account(t.Context(), 1)
	must(t, err)
	if d := cmp.Diff(athlete.Account{Revoked: gen1, Expires: start.Add(athlete.TombstoneLifetime)}, account); d != "" {
		t.Errorf("more than the tombstone is left (-want +got)\n%s", d)
	}

	issued := credentialsv1.ErasureReceiptIssued{Receipt: receipt, RequestedAt: start, CompletedAt: start.Add(time.Hour)}
	for range 2 {
		must(t, p.ErasureReceiptIssued(t.Context(), cause, issued))
	}
	e, err := p.Erasure(t.Context(), receipt)
	must(t, err)
	if d := cmp.Diff(athlete.Erasure{Receipt: receipt, RequestedAt: start, CompletedAt: start.Add(time.Hour)}, e); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestErasureAfterDeauthorizationIsKnownToo(t *testing.T) {
	p := newPlane()
	if _, err := p.Erasure(t.Context(), "theirs"); !errors.Is(err, athlete.ErrNoErasure) {
		t.Fatal(err)
	}
	must(t, p.ErasureReceiptIssued(t.Context(), cause, credentialsv1.ErasureReceiptIssued{Receipt: "theirs", RequestedAt: start, CompletedAt: start}))
	e, err := p.Erasure(t.Context(), "theirs")
	if err != nil || e.CompletedAt.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
}

// An athlete who has connected again leaves altogether, also by the session
// they had before.
func TestLeaveEndsTheLatestAuthorization(t *testing.T) {
	p := newPlane()
	p.gather(t, gen2, 0, "Ada")
	old, err := p.Leave(t.Context(), athlete.Session{AthleteID: 1, Generation: gen1})
	must(t, err)
	same, err := p.Leave(t.Context(), athlete.Session{AthleteID: 1, Generation: gen2})
	must(t, err)
	if old != same {
		t.Errorf("two receipts for one leave")
	}
	for _, f := range p.facts() {
		if f.(athletev1.ErasureRequested).Generation != gen2 {
			t.Errorf("published %+v", f)
		}
	}
}

func TestLeaveAfterReconnectingHasAReceiptOfItsOwn(t *testing.T) {
	p := newPlane()
	first, err := p.Leave(t.Context(), athlete.Session{AthleteID: 1, Generation: gen1})
	must(t, err)
	p.gather(t, gen2, 0, "Ada") // The first leave is still on its way.
	second, err := p.Leave(t.Context(), athlete.Session{AthleteID: 1, Generation: gen2})
	must(t, err)
	if first == second {
		t.Fatal("the receipt of another leave")
	}
	p.revoke(t, gen1, first)
	if got := p.name(t, gen2); got != "Ada" {
		t.Errorf("the end of the first authorization took the second's profile: %s", got)
	}
	again, err := p.Leave(t.Context(), athlete.Session{AthleteID: 1, Generation: gen2})
	if err != nil || again != second {
		t.Errorf("%s, %v", again, err)
	}
}

// An account with anything but a tombstone in it never expires.
func TestOnlyATombstoneExpires(t *testing.T) {
	by := athlete.Session{AthleteID: 1, Generation: gen2}
	for name, tc := range map[string]struct {
		do      func(p *plane)
		expires bool
	}{
		"revoked":                    {func(p *plane) {}, true},
		"revoked again":              {func(p *plane) { p.revoke(t, gen2, "r") }, true},
		"back with a profile":        {func(p *plane) { p.gather(t, gen2, 0, "Ada") }, false},
		"back and leaving":           {func(p *plane) { _, err := p.Leave(t.Context(), by); must(t, err) }, false},
		"revoked while back":         {func(p *plane) { p.gather(t, gen2, 0, "Ada"); p.revoke(t, gen1+1, "r") }, false},
		"revoked while leaving":      {func(p *plane) { _, err := p.Leave(t.Context(), by); must(t, err); p.revoke(t, gen1+1, "r") }, false},
		"a late reading changes not": {func(p *plane) { p.gather(t, gen1, 0, "Ada") }, true},
	} {
		p := newPlane()
		p.revoke(t, gen1, "r")
		tc.do(p)
		a, err := p.store.Account(t.Context(), 1)
		must(t, err)
		if a.Expires.IsZero() == tc.expires {
			t.Errorf("%s: expires %v", name, a.Expires)
		}
	}
}

func TestReadingsPastTheirRightAreIgnored(t *testing.T) {
	p := newPlane()
	p.now = start.Add(athlete.Retention + time.Second)
	p.gather(t, gen1, 0, "Ada")
	if got := p.name(t, gen1); got != "-" {
		t.Errorf("got %s", got)
	}
	p.gather(t, gen1, 2, "Ada")
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("got %s", got)
	}
	if athlete.TombstoneLifetime <= athlete.Retention {
		t.Error("a reading may outlive the tombstone")
	}
}

func TestAnothersProfileIsRefused(t *testing.T) {
	p := newPlane()
	err := p.AthleteGathered(t.Context(), cause, gatheringv1.AthleteGathered{AthleteID: 1, Generation: gen1, ReadAt: start, Athlete: gatheringv1.Athlete{ID: 2}})
	if !fault.Is(err, fault.Permanent) {
		t.Fatal(err)
	}
}

func TestRevocationThatCouldNotBeAnnouncedIsRepeated(t *testing.T) {
	p := newPlane()
	p.refuse = fault.New(fault.Transient, "the bus is away")
	f := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "r"}
	if err := p.AuthorizationRevoked(t.Context(), cause, f); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	p.refuse = nil
	must(t, p.AuthorizationRevoked(t.Context(), cause, f))
	if d := cmp.Diff([]event.Fact{athletev1.ErasureCompleted{Receipt: "r"}}, p.facts()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
