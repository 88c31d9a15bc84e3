package openapi_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/pkg/kit/kittest"

	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/test/openapi"
)

// fuzzCalls is the number of calls that TestFuzz makes.
const fuzzCalls = 10_000

// Every response must match the document; none may be a 5xx or contain another
// athlete's data. The API must refuse exactly the parameters that the document
// does not accept.
func TestFuzzedCallsGetTheDescribedResponses(t *testing.T) {
	s := newSystem(t)
	f := &openapi.Fuzzer{
		Rand: rand.New(rand.NewPCG(1, 2)), Document: s.document, Good: adasValues(t, s), Session: strings.TrimSuffix(sessionCookie, "="),
		Live: s.session(bob), Ended: s.session(eve), Key: s.byKey[bob], RevokedKey: s.byKey[eve],
		Form: func() string {
			form, _, err := s.waitlist.IssueForm(t.Context(), credentials.NoPlaceHere)
			kittest.Must(t, err)
			return "__Host-paceline_waitlist=" + form.Reveal()
		},
		SiteURL: siteURL, Victim: ada,
	}
	f.Routes = slices.DeleteFunc(slices.Sorted(maps.Keys(s.document.Operations)), func(route string) bool { return route == document })
	maps.Copy(f.Good, map[string][]string{
		"id": {fmt.Sprint(bob * 100), fmt.Sprint(bob*100 + 7)}, "limit": {"1", "7", "50", "200"}, "by": {"day", "week", "month", "year"},
		"after": {"0", "1767225600", "-86400"}, "before": {"1767225600", "1795176000", "0"}, "contact": {"a@example.org", "b@example.org"}, "name": {"watch", "Uhr"},
		"q": {"mark", "MARK", "7"}, "fields": {"id", "id,name", "firstname", "distance,id"},
		"If-None-Match": {"*", `"x"`}, "receipt": {receiptOf(eve)},
	})
	f.Good["sport_type"] = []string{"Run", "Ride", ""}
	statuses := map[int]int{}
	for range fuzzCalls {
		c := f.Call()
		req, res := s.send(call{c.Route, c.Path, c.Query, c.Headers, c.Cookie, c.Key, c.Body, c.Base64})
		statuses[res.StatusCode]++
		s.mustNotShowAda("fuzz", req, res)
		if err := f.Judge(c, res.StatusCode); err != nil {
			t.Errorf("%v: %s", err, res.Body)
		}
		if t.Failed() {
			t.Fatalf("%+v", c)
		}
	}
	t.Log(statuses)
	for _, status := range []int{200, 202, 204, 302, 304, 400, 401, 403, 404, 413, 415, 429} {
		if statuses[status] == 0 {
			t.Errorf("no response with status %d", status)
		}
	}
}
