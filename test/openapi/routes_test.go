package openapi_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// document is the route of the document, which is a file of the site.
const document = "GET /openapi.json"

// The webhook is only for Strava and is not described.
func TestTheDocumentDescribesExactlyTheServedRoutes(t *testing.T) {
	s := newSystem(t)
	served := append(slices.Collect(maps.Keys(s.routes)), document)
	slices.Sort(served)
	described := slices.Sorted(maps.Keys(s.document.Operations))
	if d := cmp.Diff(served, described); d != "" {
		t.Errorf("(-served +described)\n%s", d)
	}
}

func TestOnlyRoutesThatNeedASessionRefuseCallsWithoutOne(t *testing.T) {
	s := newSystem(t)
	for key, o := range s.document.Operations {
		if key == document {
			continue
		}
		if _, res := s.send(call{route: key, path: map[string]string{"id": "1", "receipt": "r", "provider": "fitbit"}}); (res.StatusCode == 401) != o.Session {
			t.Errorf("%s: needs a session: %t; status without one: %d", key, o.Session, res.StatusCode)
		}
	}
}
