package athlete_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/athlete/athletetest"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/athletev1"
	"github.com/paceline/paceline/pkg/event/credentialsv1"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
	"github.com/paceline/paceline/pkg/kit/retention"
)

const (
	gen1 int64 = 1_800_000_000_000
	gen2 int64 = 1_800_000_100_000
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

type plane struct {
	*athlete.Service
	ports     athlete.Ports
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
	p := &plane{now: start}
	p.ports, _ = athletetest.NewPorts(func() time.Time { return p.now })
	p.ports.Publisher = p
	p.Service = p.ports.Service()
	return p
}

// deadlines enforces the deadlines by the plane's own service.
func (p *plane) deadlines() *athlete.Deadlines {
	d := p.ports.Deadlines()
	d.Service = p.Service
	return d
}

var cause = event.Meta{ID: "cause", OccurredAt: start, CorrelationID: "correlation"}

func (p *plane) gather(t *testing.T, generation int64, at int, name string) {
	t.Helper()
	kittest.Must(t, p.AthleteGathered(t.Context(), cause, gatheringv1.AthleteGathered{
		AthleteID: 1, Generation: generation, ReadAt: start.Add(time.Duration(at) * time.Second),
		Athlete: gatheringv1.Athlete{ID: 1, Firstname: name},
	}))
}

func (p *plane) revoke(t *testing.T, generation int64, receipt string) {
	t.Helper()
	kittest.Must(t, p.AuthorizationRevoked(t.Context(), cause, credentialsv1.AuthorizationRevoked{
		AthleteID: 1, Generation: generation, Receipt: receipt, RequestedAt: start,
	}))
}

// confirm has a part of another boundary confirm an erasure.
func (p *plane) confirm(t *testing.T, receipt, part string, at time.Time) {
	t.Helper()
	kittest.Must(t, p.ErasureCompleted(t.Context(), event.Meta{ID: "confirmed", OccurredAt: at}, receipt, part))
}

// confirmOthers has all other boundaries confirm an erasure.
func (p *plane) confirmOthers(t *testing.T, receipt string, at time.Time) {
	t.Helper()
	for _, part := range []string{athlete.PartCredentials, athlete.PartGathering, athlete.PartActivity} {
		p.confirm(t, receipt, part, at)
	}
}

func (p *plane) authorize(t *testing.T, generation int64, scopes ...string) {
	t.Helper()
	kittest.Must(t, p.AthleteAuthorized(t.Context(), cause, credentialsv1.AthleteAuthorized{AthleteID: 1, Generation: generation, Scopes: scopes}))
}

func (p *plane) degrade(t *testing.T, generation int64) {
	t.Helper()
	kittest.Must(t, p.AuthorizationDegraded(t.Context(), cause, credentialsv1.AuthorizationDegraded{
		AthleteID: 1, Generation: generation, Reason: credentialsv1.DegradedTokenRefused,
	}))
}

// name is the first name that a session of the generation sees; "-" without a
// profile, "401" without a right to see anything.
func (p *plane) name(t *testing.T, generation int64) string {
	t.Helper()
	me, err := p.Me(t.Context(), athlete.Authorization{AthleteID: 1, Generation: generation})
	if errors.As(err, new(*athlete.RevokedError)) {
		return "401"
	}
	kittest.Must(t, err)
	if me.Profile == nil {
		return "-"
	}
	if me.Profile.ID != 1 {
		t.Fatalf("the profile of %d", me.Profile.ID)
	}
	return me.Profile.Firstname
}

// isRevoked reports whether err means that the authorization is over, and leads to
// the receipt.
func isRevoked(err error, receipt string) bool {
	revoked, is := errors.AsType[*athlete.RevokedError](err)
	return is && errors.Is(err, athlete.ErrRevoked) && revoked.Receipt == receipt
}

func TestMeReturnsTheProfile(t *testing.T) {
	p := newPlane()
	if got := p.name(t, gen1); got != "-" {
		t.Errorf("before anything is read: %s", got)
	}
	p.gather(t, gen1, 0, "Ada")
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("got %s", got)
	}
	other, err := p.Me(t.Context(), athlete.Authorization{AthleteID: 11, Generation: gen1})
	if err != nil || !cmp.Equal(other, athlete.Account{}) {
		t.Errorf("another sees %+v, %v", other, err)
	}
}

// TestAccountIsTheSameInEveryOrder delivers readings and revocations in every
// order, and twice.
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

// TestConsentIsTheSameInEveryOrder delivers the events of authorizations in every
// order, and twice. Nothing of a revoked authorization comes back.
func TestConsentIsTheSameInEveryOrder(t *testing.T) {
	steps := map[string]func(t *testing.T, p *plane){
		"authorize 1": func(t *testing.T, p *plane) { p.authorize(t, gen1, "read") },
		"degrade 1":   func(t *testing.T, p *plane) { p.degrade(t, gen1) },
		"revoke 1":    func(t *testing.T, p *plane) { p.revoke(t, gen1, "r1") },
		"authorize 2": func(t *testing.T, p *plane) { p.authorize(t, gen2, "read", "activity:read") },
		"degrade 2":   func(t *testing.T, p *plane) { p.degrade(t, gen2) },
		"revoke 2":    func(t *testing.T, p *plane) { p.revoke(t, gen2, "r2") },
	}
	read, all := []string{"read"}, []string{"read", "activity:read"}
	for _, tc := range []struct {
		steps []string
		want  *athlete.Consent
	}{
		{[]string{"authorize 1"}, &athlete.Consent{Generation: gen1, Scopes: read}},
		{[]string{"degrade 1"}, &athlete.Consent{Generation: gen1, Degraded: true}},
		{[]string{"authorize 1", "degrade 1"}, &athlete.Consent{Generation: gen1, Scopes: read, Degraded: true}},
		{[]string{"authorize 1", "degrade 1", "authorize 2"}, &athlete.Consent{Generation: gen2, Scopes: all}},
		{[]string{"authorize 1", "revoke 1", "authorize 2", "degrade 2"}, &athlete.Consent{Generation: gen2, Scopes: all, Degraded: true}},
		{[]string{"authorize 1", "degrade 1", "revoke 1"}, nil},
		{[]string{"authorize 1", "degrade 1", "authorize 2", "revoke 2"}, nil},
	} {
		for _, order := range permutations(tc.steps) {
			p := newPlane()
			for _, name := range slices.Concat(order, order) {
				steps[name](t, p)
			}
			a, err := p.Accounts.Account(t.Context(), 1)
			kittest.Must(t, err)
			if d := cmp.Diff(tc.want, a.Consent); d != "" {
				t.Errorf("after %v (-want +got)\n%s", order, d)
			}
		}
	}
}

func TestAnEventOlderThanATombstoneIsIgnored(t *testing.T) {
	p := newPlane()
	p.now = start.Add(retention.StravaData)
	p.authorize(t, gen1, "read")
	p.degrade(t, gen1)
	a, err := p.Accounts.Account(t.Context(), 1)
	kittest.Must(t, err)
	if d := cmp.Diff(athlete.Account{}, a); d != "" {
		t.Errorf("(-want +got)\n%s", d)
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

func TestARequestToLeaveIsStoredThenPublished(t *testing.T) {
	p := newPlane()
	by := athlete.Authorization{AthleteID: 1, Generation: gen1}
	p.refuse = fault.New(fault.Transient, "the bus is away")
	if _, err := p.RequestErasure(t.Context(), by); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	// It is not published, but stored.
	e, err := p.Erasure(t.Context(), "receipt-1")
	kittest.Must(t, err)
	want := athlete.Erasure{Receipt: "receipt-1", RequestedAt: start}
	if d := cmp.Diff(want, e); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	p.refuse, p.now = nil, start.Add(time.Minute)
	for range 2 {
		receipt, err := p.RequestErasure(t.Context(), by)
		kittest.Must(t, err)
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

func TestLeavingErasesTheAccountAndCompletesTheErasure(t *testing.T) {
	p := newPlane()
	by := athlete.Authorization{AthleteID: 1, Generation: gen1}
	p.authorize(t, gen1, "read")
	p.gather(t, gen1, 0, "Ada")
	receipt, err := p.RequestErasure(t.Context(), by)
	kittest.Must(t, err)
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("while leaving: %s", got)
	}
	p.revoke(t, gen1, receipt)
	p.gather(t, gen1, 9, "late")
	p.authorize(t, gen1, "late")
	p.degrade(t, gen1)
	if got := p.name(t, gen1); got != "401" {
		t.Errorf("after leaving: %s", got)
	}
	if _, err := p.RequestErasure(t.Context(), by); !isRevoked(err, receipt) {
		t.Errorf("leaving again: %v", err)
	}
	if len(p.published) != 1 {
		t.Errorf("published %+v", p.published)
	}
	account, err := p.Accounts.Account(t.Context(), 1)
	kittest.Must(t, err)
	if d := cmp.Diff(athlete.Account{RevokedGeneration: gen1, Receipt: receipt, ExpiresAt: start.Add(retention.Tombstone)}, account); d != "" {
		t.Errorf("more than the tombstone is left (-want +got)\n%s", d)
	}

	for range 2 {
		p.confirm(t, receipt, athlete.PartGathering, start.Add(time.Minute))
		p.confirm(t, receipt, athlete.PartCredentials, start.Add(2*time.Minute))
		p.confirm(t, receipt, athlete.PartActivity, start.Add(time.Hour))
	}
	e, err := p.Erasure(t.Context(), receipt)
	kittest.Must(t, err)
	want := athlete.Erasure{
		Receipt: receipt, RequestedAt: start, Parts: []string{"activity", "athlete", "credentials", "gathering"},
		Confirmed: map[string]time.Time{
			"activity": start.Add(time.Hour), "athlete": start, "credentials": start.Add(2 * time.Minute), "gathering": start.Add(time.Minute),
		},
	}
	if d := cmp.Diff(want, e); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if !e.CompletedAt().Equal(start.Add(time.Hour)) {
		t.Errorf("completed at %v", e.CompletedAt())
	}
}

func TestAnErasureAfterADeauthorizationCanBeLookedUp(t *testing.T) {
	p := newPlane()
	if _, err := p.Erasure(t.Context(), "theirs"); !errors.Is(err, athlete.ErrNoErasure) {
		t.Fatal(err)
	}
	p.revoke(t, gen1, "theirs")
	p.confirmOthers(t, "theirs", start)
	e, err := p.Erasure(t.Context(), "theirs")
	if err != nil || e.CompletedAt().IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestLeavingEndsTheLatestAuthorization, also by a session of an earlier one.
func TestLeavingEndsTheLatestAuthorization(t *testing.T) {
	for name, known := range map[string]func(p *plane){
		"by a reading": func(p *plane) { p.gather(t, gen2, 0, "Ada") },
		"by an event":  func(p *plane) { p.authorize(t, gen2, "read") },
	} {
		p := newPlane()
		known(p)
		old, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen1})
		kittest.Must(t, err)
		same, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen2})
		kittest.Must(t, err)
		if old != same {
			t.Errorf("%s: two receipts for one leave", name)
		}
		for _, f := range p.facts() {
			if f.(athletev1.ErasureRequested).Generation != gen2 {
				t.Errorf("%s: published %+v", name, f)
			}
		}
	}
}

func TestLeavingAfterReconnectingHasAReceiptOfItsOwn(t *testing.T) {
	p := newPlane()
	first, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen1})
	kittest.Must(t, err)
	p.gather(t, gen2, 0, "Ada") // The first leave is still on its way.
	second, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen2})
	kittest.Must(t, err)
	if first == second {
		t.Fatal("the receipt of another leave")
	}
	p.revoke(t, gen1, first)
	if got := p.name(t, gen2); got != "Ada" {
		t.Errorf("the end of the first authorization took the second's profile: %s", got)
	}
	again, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen2})
	if err != nil || again != second {
		t.Errorf("%s, %v", again, err)
	}
}

// TestAccountsExpireWhenNothingInThemIsNeeded: a consent and a request to leave
// keep an account without end, a tombstone and a profile for the lifetime of a
// tombstone.
func TestAccountsExpireWhenNothingInThemIsNeeded(t *testing.T) {
	by := athlete.Authorization{AthleteID: 1, Generation: gen2}
	const later = time.Hour
	for name, tc := range map[string]struct {
		do func(p *plane)
		// expires is when, after the start and the lifetime; below zero for never.
		expires time.Duration
	}{
		"revoked":                {func(p *plane) {}, 0},
		"revoked again":          {func(p *plane) { p.revoke(t, gen2, "r") }, later},
		"revoked twice":          {func(p *plane) { p.revoke(t, gen1, "r") }, 0},
		"back with a profile":    {func(p *plane) { p.gather(t, gen2, 1800, "Ada") }, later / 2},
		"back and authorized":    {func(p *plane) { p.authorize(t, gen2, "read") }, -1},
		"authorized, then read":  {func(p *plane) { p.authorize(t, gen2, "read"); p.gather(t, gen2, 0, "Ada") }, -1},
		"authorized and revoked": {func(p *plane) { p.authorize(t, gen2, "read"); p.revoke(t, gen2, "r") }, later},
		"a late event":           {func(p *plane) { p.authorize(t, gen1, "read"); p.degrade(t, gen1) }, 0},
		"back and leaving":       {func(p *plane) { _, err := p.RequestErasure(t.Context(), by); kittest.Must(t, err) }, -1},
		"leaving, then read": {func(p *plane) {
			_, err := p.RequestErasure(t.Context(), by)
			kittest.Must(t, err)
			p.gather(t, gen2, 0, "Ada")
		}, -1},
		"back and asking":    {func(p *plane) { _, err := p.RequestGather(t.Context(), by); kittest.Must(t, err) }, later},
		"revoked while back": {func(p *plane) { p.gather(t, gen2, 0, "Ada"); p.revoke(t, gen1+1, "r") }, later},
		"revoked while leaving": {func(p *plane) {
			_, err := p.RequestErasure(t.Context(), by)
			kittest.Must(t, err)
			p.revoke(t, gen1+1, "r")
		}, -1},
		"left": {func(p *plane) {
			r, err := p.RequestErasure(t.Context(), by)
			kittest.Must(t, err)
			p.revoke(t, gen2, r)
		}, later},
		"left, and ended elsewhere": {func(p *plane) {
			r, err := p.RequestErasure(t.Context(), by)
			kittest.Must(t, err)
			p.revoke(t, gen2, "r")
			p.revoke(t, gen2, r)
		}, later},
		"leaving, ended elsewhere": {func(p *plane) {
			_, err := p.RequestErasure(t.Context(), by)
			kittest.Must(t, err)
			p.revoke(t, gen2, "r")
		}, -1},
		"a late reading changes not": {func(p *plane) { p.gather(t, gen1, 1800, "Ada") }, 0},
	} {
		p := newPlane()
		p.revoke(t, gen1, "r")
		p.now = start.Add(later)
		tc.do(p)
		a, err := p.Accounts.Account(t.Context(), 1)
		kittest.Must(t, err)
		want := start.Add(retention.Tombstone + tc.expires)
		if tc.expires < 0 {
			want = time.Time{}
		}
		if !a.ExpiresAt.Equal(want) {
			t.Errorf("%s: expires %v, want %v", name, a.ExpiresAt, want)
		}
	}
}

func TestAGatherRequestIsPublishedOncePerInterval(t *testing.T) {
	p := newPlane()
	by := athlete.Authorization{AthleteID: 1, Generation: gen1}
	ask := func(by athlete.Authorization, wantWait time.Duration) {
		t.Helper()
		at, err := p.RequestGather(t.Context(), by)
		tooSoon, is := errors.AsType[athlete.TooSoonError](err)
		if is != (wantWait > 0) || tooSoon.Wait != wantWait || !is && (err != nil || !at.Equal(p.now)) {
			t.Errorf("at %v: %v, %v", p.now, at, err)
		}
	}
	p.refuse = fault.New(fault.Transient, "the bus is away")
	if _, err := p.RequestGather(t.Context(), by); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	p.refuse = nil
	ask(by, 0) // The last request was not published.
	ask(by, athlete.GatherInterval)
	ask(athlete.Authorization{AthleteID: 2, Generation: gen1}, 0)
	p.now = start.Add(athlete.GatherInterval - time.Second)
	ask(by, time.Second)
	p.now = start.Add(athlete.GatherInterval)
	ask(by, 0)
	p.revoke(t, gen1, "r")
	if _, err := p.RequestGather(t.Context(), by); !isRevoked(err, "r") {
		t.Errorf("after leaving: %v", err)
	}
	ask(athlete.Authorization{AthleteID: 1, Generation: gen2}, 0) // reconnecting starts clean
	request := func(id, generation int64, at time.Time) event.Fact {
		return athletev1.GatherRequested{AthleteID: id, Generation: generation, RequestedAt: at}
	}
	want := []event.Fact{
		request(1, gen1, start), request(2, gen1, start), request(1, gen1, p.now),
		request(1, gen2, p.now),
	}
	if d := cmp.Diff(want, p.facts()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestProfilesAreHiddenThenDroppedAfterSevenDays: the athlete does not see the
// profile any more, and the next enforcement drops it. Another reading brings it
// back.
func TestProfilesAreHiddenThenDroppedAfterSevenDays(t *testing.T) {
	p := newPlane()
	deadlines := p.deadlines()
	enforce := func(want athlete.RetentionReport, kept bool) {
		t.Helper()
		report, err := deadlines.Enforce(t.Context())
		kittest.Must(t, err)
		a, err := p.Accounts.Account(t.Context(), 1)
		kittest.Must(t, err)
		if report != want || (a.Profile != nil) != kept {
			t.Errorf("report %+v, want %+v; the profile is kept: %t", report, want, a.Profile != nil)
		}
	}
	p.gather(t, gen1, 0, "Ada")
	p.now = start.Add(retention.StravaData - time.Second)
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("got %s", got)
	}
	enforce(athlete.RetentionReport{ByAge: [retention.Days]int{6: 1}}, true)
	p.now = start.Add(retention.StravaData)
	if got := p.name(t, gen1); got != "-" {
		t.Errorf("too old: %s", got)
	}
	enforce(athlete.RetentionReport{ByAge: [retention.Days]int{7: 1}}, false)
	p.gather(t, gen1, int(retention.StravaData/time.Second), "Ada")
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("read again: %s", got)
	}
	// Enforcement did not run for a while.
	p.now = p.now.Add(retention.StravaData + 2*time.Hour)
	enforce(athlete.RetentionReport{ByAge: [retention.Days]int{7: 1}, TooOld: 1}, false)
	enforce(athlete.RetentionReport{}, false)
}

func TestErasuresAreCounted(t *testing.T) {
	p := newPlane()
	deadlines := p.deadlines()
	count := func(pending, overdue, completed int) {
		t.Helper()
		report, err := deadlines.Enforce(t.Context())
		if want := (athlete.RetentionReport{Erasures: athlete.ErasureCounts{Pending: pending, Overdue: overdue, Completed: completed}}); err != nil || report != want {
			t.Errorf("%+v, %v, want %+v", report, err, want)
		}
	}
	receipt, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen1})
	kittest.Must(t, err)
	p.revoke(t, gen2, "theirs") // asked for elsewhere, at the start
	p.now = start.Add(athlete.ErasureTime - time.Second)
	count(2, 0, 0)
	p.now = start.Add(athlete.ErasureTime)
	count(2, 2, 0)
	p.revoke(t, gen1, receipt)
	for i, r := range []string{receipt, "theirs"} {
		p.confirmOthers(t, r, p.now)
		count(1-i, 1-i, 1+i)
	}
	p.revoke(t, gen2, "theirs") // once more
	count(0, 0, 2)
	p.now = p.now.Add(7 * 24 * time.Hour)
	count(0, 0, 0)
}

// failingAccounts fails to update the account of athlete 1.
type failingAccounts struct{ athlete.Accounts }

func (u failingAccounts) Update(ctx context.Context, id int64, change func(*athlete.Account) (bool, error)) (athlete.Account, error) {
	if id == 1 {
		return athlete.Account{}, fault.New(fault.Transient, "not now")
	}
	return u.Accounts.Update(ctx, id, change)
}

func TestAProfileThatCannotBeDroppedDoesNotKeepTheOthers(t *testing.T) {
	p := newPlane()
	for id := range int64(5) {
		_, err := p.Accounts.Update(t.Context(), id, func(a *athlete.Account) (bool, error) {
			a.Profile, a.ProfileReadAt = &gatheringv1.Athlete{ID: id}, start
			return true, nil
		})
		kittest.Must(t, err)
	}
	p.Accounts, p.now = failingAccounts{p.Accounts}, start.Add(retention.StravaData)
	d := p.deadlines()
	if _, err := d.Enforce(t.Context()); err == nil {
		t.Error("no error")
	}
	for id := range int64(5) {
		a, err := p.Accounts.Account(t.Context(), id)
		kittest.Must(t, err)
		if (a.Profile != nil) != (id == 1) {
			t.Errorf("athlete %d: %+v", id, a.Profile)
		}
	}
}

// failingErasures fails to update.
type failingErasures struct{ athlete.Erasures }

func (failingErasures) Update(context.Context, string, func(*athlete.Erasure) (bool, error)) (athlete.Erasure, error) {
	return athlete.Erasure{}, fault.New(fault.Transient, "not now")
}

// TestARequestToLeaveIsNotLost: wherever taking it was cut off, it is published
// within minutes, with its receipt and time.
func TestARequestToLeaveIsNotLost(t *testing.T) {
	for name, cut := range map[string]func(p *plane){
		"before the erasure was opened": func(p *plane) { p.Erasures = failingErasures{p.Erasures} },
		"before it was published":       func(p *plane) { p.refuse = fault.New(fault.Transient, "the bus is away") },
	} {
		p := newPlane()
		deadlines := p.deadlines()
		enforce := func(after time.Duration, published int) {
			t.Helper()
			p.now = start.Add(after)
			_, err := deadlines.Enforce(t.Context())
			kittest.Must(t, err)
			if len(p.published) != published {
				t.Errorf("cut off %s, after %v: published %+v", name, after, p.facts())
			}
		}
		cut(p)
		if _, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen1}); !fault.Is(err, fault.Transient) {
			t.Fatal(err)
		}
		p.Erasures, p.refuse = p.ports.Erasures, nil
		enforce(10*time.Minute-time.Second, 0)
		enforce(10*time.Minute, 1)
		enforce(25*time.Minute, 2)
		requested := athletev1.ErasureRequested{AthleteID: 1, Generation: gen1, Receipt: "receipt-1", RequestedAt: start}
		if d := cmp.Diff([]event.Fact{requested, requested}, p.facts()); d != "" {
			t.Errorf("cut off %s, published (-want +got)\n%s", name, d)
		}
		e, err := p.Erasure(t.Context(), "receipt-1")
		if err != nil || !e.RequestedAt.Equal(start) {
			t.Errorf("cut off %s: %+v, %v", name, e, err)
		}
		// Another end of the authorization has another receipt.
		p.revoke(t, gen1, "theirs")
		enforce(40*time.Minute, 3)
		p.revoke(t, gen1, "receipt-1")
		enforce(55*time.Minute, 3)
	}
}

// failingPublisher fails to publish requests of athlete 1.
type failingPublisher struct{ *plane }

func (p failingPublisher) Publish(ctx context.Context, events ...event.Event) error {
	if events[0].Fact.(athletev1.ErasureRequested).AthleteID == 1 {
		return fault.New(fault.Transient, "not now")
	}
	return p.plane.Publish(ctx, events...)
}

func TestARequestThatCannotBePublishedDoesNotKeepTheOthers(t *testing.T) {
	p := newPlane()
	for id := range int64(5) {
		_, err := p.RequestErasure(t.Context(), athlete.Authorization{AthleteID: id, Generation: gen1})
		kittest.Must(t, err)
	}
	p.published, p.now = nil, start.Add(time.Hour)
	p.Publisher = failingPublisher{p}
	report, err := p.deadlines().Enforce(t.Context())
	if err == nil || report.Erasures.Overdue != 5 {
		t.Errorf("%v, report %+v", err, report)
	}
	again := map[int64]bool{}
	for _, f := range p.facts() {
		again[f.(athletev1.ErasureRequested).AthleteID] = true
	}
	if d := cmp.Diff(map[int64]bool{0: true, 2: true, 3: true, 4: true}, again); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// TestAnErasureThatFailsHereIsOverdue, because it is opened before anything is
// erased.
func TestAnErasureThatFailsHereIsOverdue(t *testing.T) {
	p := newPlane()
	p.Accounts = failingAccounts{p.Accounts}
	f := credentialsv1.AuthorizationRevoked{AthleteID: 1, Generation: gen1, Receipt: "r", RequestedAt: start}
	if err := p.AuthorizationRevoked(t.Context(), cause, f); !fault.Is(err, fault.Transient) {
		t.Fatal(err)
	}
	p.now = start.Add(3 * time.Hour)
	report, err := p.deadlines().Enforce(t.Context())
	if want := (athlete.RetentionReport{Erasures: athlete.ErasureCounts{Pending: 1, Overdue: 1}}); err != nil || report != want {
		t.Errorf("%+v, %v, want %+v", report, err, want)
	}
	if len(p.published) != 0 {
		t.Errorf("published %+v", p.facts())
	}
}

// TestSessionsOfARevokedAuthorizationLeadToTheReceipt until the athlete connects
// again.
func TestSessionsOfARevokedAuthorizationLeadToTheReceipt(t *testing.T) {
	steps := map[string]func(t *testing.T, p *plane){
		"authorize 1": func(t *testing.T, p *plane) { p.authorize(t, gen1, "read") },
		"revoke 1":    func(t *testing.T, p *plane) { p.revoke(t, gen1, "first") },
		"authorize 2": func(t *testing.T, p *plane) { p.authorize(t, gen2, "read") },
		"revoke 2":    func(t *testing.T, p *plane) { p.revoke(t, gen2, "second") },
	}
	for _, tc := range []struct {
		steps []string
		want  string
	}{
		{[]string{"authorize 1", "revoke 1"}, "first"},
		{[]string{"authorize 1", "authorize 2", "revoke 2"}, "second"},
		{[]string{"authorize 1", "revoke 1", "authorize 2", "revoke 2"}, "second"},
		{[]string{"authorize 1", "revoke 1", "authorize 2"}, ""},
	} {
		for _, order := range permutations(tc.steps) {
			for _, order := range [][]string{order, slices.Concat(order, order)} {
				p := newPlane()
				for _, name := range order {
					steps[name](t, p)
				}
				if _, err := p.Me(t.Context(), athlete.Authorization{AthleteID: 1, Generation: gen1}); !isRevoked(err, tc.want) {
					t.Errorf("after %v: %#v, want the receipt %q", order, err, tc.want)
				}
			}
		}
	}
}

// TestLeavingAgainLeadsToTheSameReceipt, even if the authorization ended in another
// way in between.
func TestLeavingAgainLeadsToTheSameReceipt(t *testing.T) {
	p := newPlane()
	by := athlete.Authorization{AthleteID: 1, Generation: gen1}
	receipt, err := p.RequestErasure(t.Context(), by)
	kittest.Must(t, err)
	for _, next := range []string{"theirs", receipt, "theirs", receipt} {
		p.revoke(t, gen1, next)
		if _, err := p.RequestErasure(t.Context(), by); !isRevoked(err, receipt) {
			t.Errorf("after the revocation of %s: %#v", next, err)
		}
	}
}

func TestErasuresCanBeLookedUpFor30Days(t *testing.T) {
	p := newPlane()
	p.revoke(t, gen1, "r")
	p.confirmOthers(t, "r", start)
	p.now = start.Add(30*24*time.Hour - time.Second)
	if _, err := p.Erasure(t.Context(), "r"); err != nil {
		t.Error(err)
	}
	p.now = start.Add(30 * 24 * time.Hour)
	if _, err := p.Erasure(t.Context(), "r"); !errors.Is(err, athlete.ErrNoErasure) {
		t.Errorf("got %v", err)
	}
}

func TestReadingsOlderThanSevenDaysAreIgnored(t *testing.T) {
	p := newPlane()
	p.now = start.Add(retention.StravaData + time.Second)
	p.gather(t, gen1, 0, "Ada")
	if got := p.name(t, gen1); got != "-" {
		t.Errorf("got %s", got)
	}
	p.gather(t, gen1, 2, "Ada")
	if got := p.name(t, gen1); got != "Ada" {
		t.Errorf("got %s", got)
	}
	if retention.Tombstone <= retention.StravaData {
		t.Error("a reading may outlive the tombstone")
	}
}

// A profile from a dead letter is not even stored.
func TestAProfileThatWasReadSevenDaysAgoIsNotStored(t *testing.T) {
	for age, kept := range map[time.Duration]bool{retention.StravaData - time.Second: true, retention.StravaData: false} {
		p := newPlane()
		p.now = start.Add(age)
		p.gather(t, gen1, 0, "Ada")
		a, err := p.ports.Accounts.Account(t.Context(), 1)
		kittest.Must(t, err)
		if got := a.Profile != nil; got != kept {
			t.Errorf("after %s it is stored: %t", age, got)
		}
	}
}

func TestAnothersProfileIsRefused(t *testing.T) {
	p := newPlane()
	err := p.AthleteGathered(t.Context(), cause, gatheringv1.AthleteGathered{AthleteID: 1, Generation: gen1, ReadAt: start, Athlete: gatheringv1.Athlete{ID: 2}})
	if !fault.Is(err, fault.Permanent) {
		t.Fatal(err)
	}
}
