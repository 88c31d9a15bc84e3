package strava

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Page sizes (Strava, API Reference).
const (
	defaultPerPage = 30
	maxPerPage     = 200
)

// listParams are the parameters of a list of activities with their limits.
var listParams = []struct {
	name        string
	least, most int64
}{
	{"page", 1, math.MaxInt64},
	{"per_page", 1, maxPerPage},
	{"before", math.MinInt64, math.MaxInt64}, // Unix seconds
	{"after", math.MinInt64, math.MaxInt64},  // Unix seconds
}

// listRequest holds the parameters of a list. Only page and per_page have a
// default.
type listRequest map[string]int64

// parseList returns the request in q, or the name of an invalid parameter.
func parseList(q url.Values) (l listRequest, invalid string) {
	l = listRequest{"page": 1, "per_page": defaultPerPage}
	for _, p := range listParams {
		if !q.Has(p.name) {
			continue
		}
		v, err := strconv.ParseInt(q.Get(p.name), 10, 64)
		if err != nil || v < p.least || v > p.most {
			return nil, p.name
		}
		l[p.name] = v
	}
	return l, ""
}

// inOrder returns the activities in the period of l, in the order that Strava was
// seen to have: newest first, but oldest first with after alone.
func (l listRequest) inOrder(activities []activity) []activity {
	before, hasBefore := l["before"]
	after, hasAfter := l["after"]
	list := []activity{}
	for _, a := range activities {
		if (!hasBefore || a.start < before) && (!hasAfter || a.start > after) {
			list = append(list, a)
		}
	}
	if hasAfter && !hasBefore {
		slices.Reverse(list)
	}
	return list
}

// listActivities returns a page of the athlete's activities. A page has per_page
// activities less those that the application may not see, so it may be short. It
// is empty only after the end of the list.
func (s *Server) listActivities(c *call, r reader) response {
	if !readsActivities(r.grant.scopes) {
		return missingScope("activity:read_permission")
	}
	l, invalid := parseList(c.URL.Query())
	if invalid != "" {
		return badRequest("Application", invalid, "invalid")
	}
	list := l.inOrder(s.population.activities(r.account))
	page, perPage := l["page"], int(l["per_page"])
	var shown []activity
	switch c.fault.Kind {
	case FaultRepeatedPage:
		shown = r.page(list, max(page-1, 1), perPage)
	case FaultLongPage:
		shown = r.longPage(list, page, perPage)
	default:
		shown = r.page(list, page, perPage)
	}
	body := []byte{'['}
	for i, a := range shown {
		if r.corrupt[a.id] {
			return corruptActivity()
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, a.raw...)
	}
	return bodyResponse(http.StatusOK, append(body, ']'))
}

// page returns a page of list: perPage activities less those that the application
// may not see. A page with none is skipped.
func (r reader) page(list []activity, page int64, perPage int) []activity {
	for chunk := range slices.Chunk(list, perPage) {
		chunk = slices.DeleteFunc(slices.Clone(chunk), func(a activity) bool { return !r.sees(a) })
		if len(chunk) > 0 {
			page--
		}
		if len(chunk) > 0 && page == 0 {
			return chunk
		}
	}
	return nil
}

// longPage returns perPage + 1 activities: a page and those after it. The first
// page follows the last. It returns none only if every page is empty.
func (r reader) longPage(list []activity, page int64, perPage int) []activity {
	var shown []activity
	for len(shown) <= perPage {
		next := r.page(list, page, perPage)
		switch {
		case len(next) > 0:
			page++
		case page == 1:
			return nil
		default:
			page = 1
		}
		shown = append(shown, next...)
	}
	return shown[:perPage+1]
}
