package athletetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/google/go-cmp/cmp"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/kit/fault"
)

// Run checks that stores do what their ports promise. newPorts returns ports to
// empty stores; only the stores are used.
func Run(t *testing.T, newPorts func(*testing.T) athlete.Ports) {
	for name, check := range map[string]func(*testing.T, athlete.Ports){
		"an account comes back as it was put":                             accountComesBack,
		"an account expires at a whole second":                            accountExpires,
		"an update of an account that changes nothing writes nothing":     accountUpdateWithoutChange,
		"parallel updates of an account all count":                        parallelAccountUpdates,
		"a change runs again if another process writes first":             crossingUpdates,
		"an erasure comes back as it was put":                             erasureComesBack,
		"an update of an erasure that changes nothing writes nothing":     erasureUpdateWithoutChange,
		"parallel confirmations of an erasure all count":                  parallelErasureUpdates,
		"an inventory finds all profiles, requests to leave and erasures": inventoryFindsAll,
		"an inventory ends with the first error and needs no function":    inventoryEnds,
		"accounts and erasures of similar names are kept apart":           accountsAndErasures,
	} {
		t.Run(name, func(t *testing.T) { check(t, newPorts(t)) })
	}
}

var at = time.Date(2026, 11, 20, 12, 0, 0, 123_000_000, time.UTC)

// wholeAccounts have, together, a value in every field.
func wholeAccounts() []athlete.Account {
	return []athlete.Account{
		{
			Profile: &gatheringv1.Athlete{
				ID: 1, Username: "u", Firstname: "Ada", Lastname: "Ågård", ProfileMedium: "https://example/m.jpg",
				Profile: "https://example/l.jpg", CreatedAt: "2020-01-01T00:00:00Z",
			},
			ProfileGeneration: 1_800_000_000_001, ProfileReadAt: at, RevokedGeneration: 1_800_000_000_000,
			Consent: &athlete.Consent{Generation: 1_800_000_000_001, Scopes: []string{"read", "activity:read"}, Degraded: true},
			Links: []athlete.Link{
				{Provider: "fitbit", AccountID: "GGNJL9", Generation: 1_800_000_000_002, AthleteGeneration: 1_800_000_000_001, LinkedAt: at},
				{Provider: "other", Generation: 3},
			},
			GatherRequestedAt: at.Add(time.Minute),
			ErasureRequest:    &athlete.ErasureRequest{Receipt: "r", Generation: 1_800_000_000_001, RequestedAt: at},
		},
		{Profile: &gatheringv1.Athlete{ID: 1}, ProfileGeneration: 1, ProfileReadAt: at},
		{Consent: &athlete.Consent{Generation: 1}},
		{RevokedGeneration: 1_800_000_000_001, Receipt: "r", ExpiresAt: time.Unix(1_900_000_000, 0).UTC()},
	}
}

func accountComesBack(t *testing.T, p athlete.Ports) {
	zero, err := p.Accounts.Account(t.Context(), 1)
	kittest.Must(t, err)
	same(t, zero, athlete.Account{})
	for i, want := range wholeAccounts() {
		updated, err := p.Accounts.Update(t.Context(), 1, func(a *athlete.Account) (bool, error) { *a = wholeAccounts()[i]; return true, nil })
		kittest.Must(t, err)
		same(t, updated, want)
		read, err := p.Accounts.Account(t.Context(), 1)
		kittest.Must(t, err)
		kittest.Scrub(&read)
		_, err = p.Accounts.Update(t.Context(), 1, func(a *athlete.Account) (bool, error) { kittest.Scrub(a); return false, nil })
		kittest.Must(t, err)
		got, err := p.Accounts.Account(t.Context(), 1)
		kittest.Must(t, err)
		same(t, got, want)
	}
	other, err := p.Accounts.Account(t.Context(), 11)
	kittest.Must(t, err)
	same(t, other, athlete.Account{})
}

func accountExpires(t *testing.T, p athlete.Ports) {
	_, err := p.Accounts.Update(t.Context(), 1, func(a *athlete.Account) (bool, error) { a.ExpiresAt = at; return true, nil })
	kittest.Must(t, err)
	got, err := p.Accounts.Account(t.Context(), 1)
	kittest.Must(t, err)
	same(t, got, athlete.Account{ExpiresAt: at.Truncate(time.Second)})
}

func accountUpdateWithoutChange(t *testing.T, p athlete.Ports) {
	boom := errors.New("boom")
	_, err := p.Accounts.Update(t.Context(), 2, func(a *athlete.Account) (bool, error) { a.RevokedGeneration = 5; return true, boom })
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	_, err = p.Accounts.Update(t.Context(), 2, func(a *athlete.Account) (bool, error) { a.RevokedGeneration = 6; return false, nil })
	kittest.Must(t, err)
	got, err := p.Accounts.Account(t.Context(), 2)
	kittest.Must(t, err)
	same(t, got, athlete.Account{})
}

// writers is how many processes write one item at a time.
const writers = 8

func parallelAccountUpdates(t *testing.T, p athlete.Ports) {
	inParallel(t, func(int) error {
		_, err := p.Accounts.Update(t.Context(), 3, func(a *athlete.Account) (bool, error) { a.RevokedGeneration++; return true, nil })
		return err
	})
	got, err := p.Accounts.Account(t.Context(), 3)
	kittest.Must(t, err)
	if got.RevokedGeneration != writers {
		t.Errorf("%d of %d updates count", got.RevokedGeneration, writers)
	}
}

func crossingUpdates(t *testing.T, p athlete.Ports) {
	kittest.RunCrossing(t, func(change func(*athlete.Account) (bool, error)) error {
		_, err := p.Accounts.Update(t.Context(), 4, change)
		return err
	}, func(a *athlete.Account) { a.RevokedGeneration++ }, func(a athlete.Account) int { return int(a.RevokedGeneration) })
	kittest.RunCrossing(t, func(change func(*athlete.Erasure) (bool, error)) error {
		_, err := p.Erasures.Update(t.Context(), "four", change)
		return err
	}, func(e *athlete.Erasure) { e.Parts = append(e.Parts, "part") }, func(e athlete.Erasure) int { return len(e.Parts) })
}

func wholeErasures() []athlete.Erasure {
	return []athlete.Erasure{
		{Receipt: "one", Confirmed: map[string]time.Time{"b": at}},
		{Receipt: "one", RequestedAt: at, Confirmed: map[string]time.Time{"b": at}},
		{Receipt: "one", RequestedAt: at, Parts: []string{"a", "b"}, Confirmed: map[string]time.Time{"a": at.Add(time.Second), "b": at}},
	}
}

func erasureComesBack(t *testing.T, p athlete.Ports) {
	zero, err := p.Erasures.Erasure(t.Context(), "one")
	kittest.Must(t, err)
	same(t, zero, athlete.Erasure{Receipt: "one"})
	for i, want := range wholeErasures() {
		updated, err := p.Erasures.Update(t.Context(), "one", func(e *athlete.Erasure) (bool, error) { *e = wholeErasures()[i]; return true, nil })
		kittest.Must(t, err)
		same(t, updated, want)
		read, err := p.Erasures.Erasure(t.Context(), "one")
		kittest.Must(t, err)
		kittest.Scrub(&read)
		_, err = p.Erasures.Update(t.Context(), "one", func(e *athlete.Erasure) (bool, error) { kittest.Scrub(e); return false, nil })
		kittest.Must(t, err)
		got, err := p.Erasures.Erasure(t.Context(), "one")
		kittest.Must(t, err)
		same(t, got, want)
	}
}

func erasureUpdateWithoutChange(t *testing.T, p athlete.Ports) {
	boom := errors.New("boom")
	_, err := p.Erasures.Update(t.Context(), "two", func(e *athlete.Erasure) (bool, error) { e.RequestedAt = at; return true, boom })
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	_, err = p.Erasures.Update(t.Context(), "two", func(e *athlete.Erasure) (bool, error) { e.RequestedAt = at; return false, nil })
	kittest.Must(t, err)
	got, err := p.Erasures.Erasure(t.Context(), "two")
	kittest.Must(t, err)
	same(t, got, athlete.Erasure{Receipt: "two"})
}

func parallelErasureUpdates(t *testing.T, p athlete.Ports) {
	inParallel(t, func(n int) error {
		part := string(rune('a' + n))
		_, err := p.Erasures.Update(t.Context(), "three", func(e *athlete.Erasure) (bool, error) {
			confirmed := map[string]time.Time{part: at}
			for other, at := range e.Confirmed {
				confirmed[other] = at
			}
			e.Confirmed = confirmed
			return true, nil
		})
		return err
	})
	got, err := p.Erasures.Erasure(t.Context(), "three")
	kittest.Must(t, err)
	if len(got.Confirmed) != writers {
		t.Errorf("%d of %d confirmations count", len(got.Confirmed), writers)
	}
}

// inParallel has all writers write at once, and repeats a write that conflicts
// with another.
func inParallel(t *testing.T, write func(n int) error) {
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			for deadline := time.Now().Add(30 * time.Second); ; {
				err := write(n)
				if err == nil {
					return
				}
				if !fault.Is(err, fault.Transient) || time.Now().After(deadline) {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// fill stores ten accounts, of which every second has a profile and every third
// a request to leave, and two erasures.
func fill(t *testing.T, p athlete.Ports) (profiles map[int64]time.Time, requests map[int64]athlete.ErasureRequest, erasures map[string]athlete.Erasure) {
	profiles, requests = map[int64]time.Time{}, map[int64]athlete.ErasureRequest{}
	for id := int64(1000); id < 1010; id++ {
		_, err := p.Accounts.Update(t.Context(), id, func(a *athlete.Account) (bool, error) {
			a.RevokedGeneration = 1
			if id%2 == 0 {
				a.Profile, a.ProfileReadAt = &gatheringv1.Athlete{ID: id}, at.Add(time.Duration(id)*time.Second)
				profiles[id] = a.ProfileReadAt
			}
			if id%3 == 0 {
				a.ErasureRequest = &athlete.ErasureRequest{Receipt: "r", Generation: id, RequestedAt: at}
				requests[id] = *a.ErasureRequest
			}
			return true, nil
		})
		kittest.Must(t, err)
	}
	erasures = map[string]athlete.Erasure{
		"early":  {Receipt: "early", Confirmed: map[string]time.Time{"a": at}},
		"opened": {Receipt: "opened", RequestedAt: at, Parts: []string{"a"}},
	}
	for receipt, want := range erasures {
		_, err := p.Erasures.Update(t.Context(), receipt, func(e *athlete.Erasure) (bool, error) { *e = want; return true, nil })
		kittest.Must(t, err)
	}
	return profiles, requests, erasures
}

func inventoryFindsAll(t *testing.T, p athlete.Ports) {
	wantProfiles, wantRequests, wantErasures := fill(t, p)
	profiles, requests, erasures := map[int64]time.Time{}, map[int64]athlete.ErasureRequest{}, map[string]athlete.Erasure{}
	kittest.Must(t, p.Inventory.Each(t.Context(), athlete.Visitor{
		Profile:        func(id int64, readAt time.Time) error { profiles[id] = readAt; return nil },
		ErasureRequest: func(id int64, l athlete.ErasureRequest) error { requests[id] = l; return nil },
		Erasure:        func(e athlete.Erasure) error { erasures[e.Receipt] = e; return nil },
	}))
	same(t, profiles, wantProfiles)
	same(t, requests, wantRequests)
	same(t, erasures, wantErasures)
}

func inventoryEnds(t *testing.T, p athlete.Ports) {
	fill(t, p)
	enough := errors.New("enough")
	for name, v := range map[string]athlete.Visitor{
		"profile": {Profile: func(int64, time.Time) error { return enough }},
		"leave":   {ErasureRequest: func(int64, athlete.ErasureRequest) error { return enough }},
		"erasure": {Erasure: func(athlete.Erasure) error { return enough }},
	} {
		if err := p.Inventory.Each(t.Context(), v); !errors.Is(err, enough) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	kittest.Must(t, p.Inventory.Each(t.Context(), athlete.Visitor{}))
}

func accountsAndErasures(t *testing.T, p athlete.Ports) {
	_, err := p.Erasures.Update(t.Context(), "7", func(e *athlete.Erasure) (bool, error) { e.RequestedAt = at; return true, nil })
	kittest.Must(t, err)
	a, err := p.Accounts.Account(t.Context(), 7)
	kittest.Must(t, err)
	same(t, a, athlete.Account{})
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
