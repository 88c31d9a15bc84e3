package standin_test

import (
	"slices"
	"testing"

	"github.com/paceline/paceline/standin"
)

type fault struct {
	endpoint string
	count    int
}

func TestTheOldestFaultThatMatchesApplies(t *testing.T) {
	faults := standin.NewFaults(func(f *fault) *int { return &f.count })
	faults.Add(fault{"refresh", 2})
	faults.Add(fault{"any", 1})
	faults.Add(fault{"refresh", -1})
	groups := standin.EndpointGroups{"api": {"athlete"}, "oauth": {"refresh"}}
	take := func(endpoint string) fault {
		return faults.Take(func(f fault) bool { return groups.Covers(f.endpoint, endpoint) })
	}
	var got []fault
	for _, endpoint := range []string{"refresh", "athlete", "athlete", "refresh", "refresh", "refresh"} {
		got = append(got, take(endpoint))
	}
	want := []fault{{"refresh", 2}, {"any", 1}, {}, {"refresh", 1}, {"refresh", -1}, {"refresh", -1}}
	if !slices.Equal(got, want) {
		t.Errorf("taken %v, want %v", got, want)
	}
	if all := faults.All(); !slices.Equal(all, []fault{{"refresh", -1}}) {
		t.Errorf("still to happen: %v", all)
	}
	faults.Clear()
	if all := faults.All(); all == nil || len(all) != 0 {
		t.Errorf("after Clear: %#v", all)
	}
	if got, want := groups.Names(), []string{"any", "api", "oauth", "athlete", "refresh"}; !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
}

func TestCallCounterCountsCallsAndRefreshesInFlight(t *testing.T) {
	c := standin.NewCallCounter[string]()
	endFirst, endSecond := c.StartRefresh("ada"), c.StartRefresh("ada")
	endFirst()
	c.Reset()
	c.StartRefresh("ada")()
	endSecond()
	if most := c.MaxRefreshesInFlight()["ada"]; most != 2 {
		t.Errorf("%d refreshes in flight at most, want 2: one goes on after the reset", most)
	}
	c.Count("refresh", "ada", 200)
	c.Count("athlete", "", 401)
	c.Count("refresh", "ada", 200)
	want := []standin.CallCount[string]{{"athlete", "", 401, 1}, {"refresh", "ada", 200, 2}}
	if got := c.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
}

func TestScopesKeepTheOrderOfTheRequest(t *testing.T) {
	requested := standin.Scopes{"profile", "activity", "sleep"}
	if got := requested.And(standin.Scopes{"sleep", "profile", "weight"}); !slices.Equal(got, standin.Scopes{"profile", "sleep"}) {
		t.Errorf("accepted %v", got)
	}
	if got := requested.Without(standin.Scopes{"sleep"}); !slices.Equal(got, standin.Scopes{"profile", "activity"}) || len(requested) != 3 {
		t.Errorf("without sleep %v of %v", got, requested)
	}
}
