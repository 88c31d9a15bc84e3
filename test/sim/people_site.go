package sim

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// person is an athlete, with an account at Strava and one at Fitbit.
type person struct {
	*actor
	id     int64
	fitbit string
	// browsers are a laptop, a telephone, and one that others use, too.
	browsers []*browser
	keys     []key
	// receipts are those that the athlete was given.
	receipts []string
	// eager is the mean time between two deeds.
	eager time.Duration
	// tastes are how much the athlete likes each deed: 0 for never.
	tastes        []int
	uploads       int
	everConnected bool
	// linked is set once the account at Fitbit was linked.
	linked bool
	// lastCallback is the address to which Strava led last.
	lastCallback string
}

// key is an athlete's key as the site showed it.
type key struct{ id, secret string }

// deed is something that athletes do.
type deed struct {
	weight int
	do     func(*person)
	// can reports whether the athlete can do it; nil for always.
	can func(*person) bool
}

// deeds are all that athletes do, at Strava and on the site.
func deeds() []deed {
	in := func(p *person) bool { return p.signedIn() != nil }
	out := func(p *person) bool { return p.signedIn() == nil }
	linked := func(p *person) bool { return p.linked }
	linkedIn := func(p *person) bool { return in(p) && linked(p) }
	hasKey := func(p *person) bool { return len(p.keys) > 0 }
	return []deed{
		{70, (*person).upload, nil}, {15, (*person).uploadMany, nil}, {20, (*person).uploadOld, nil}, {20, (*person).uploadSlowly, nil},
		{30, (*person).rename, nil}, {20, (*person).retype, nil}, {30, (*person).hide, nil}, {30, (*person).unhide, nil},
		{20, (*person).deleteOne, nil}, {6, (*person).deleteMany, nil}, {20, (*person).editSilently, nil}, {10, (*person).corrupt, nil},
		{10, (*person).withdraw, nil}, {5, (*person).withdrawAtFitbit, linked},
		{150, (*person).connect, out}, {10, (*person).connect, in}, {12, (*person).connectInTwoTabs, nil},
		{12, (*person).connectPrefetching, nil}, {6, (*person).reloadCallback, func(p *person) bool { return p.lastCallback != "" }},
		{80, (*person).look, in}, {10, (*person).peek, in}, {5, (*person).export, in}, {25, (*person).requestGather, in},
		{15, (*person).makeKey, in}, {30, (*person).useKey, hasKey}, {6, (*person).revokeKey, func(p *person) bool { return in(p) && hasKey(p) }},
		{8, (*person).logOut, in}, {4, (*person).logOutEverywhere, in}, {12, (*person).leave, in},
		{10, (*person).followReceipt, func(p *person) bool { return len(p.receipts) > 0 }},
		{25, (*person).link, in}, {30, (*person).lookAtLink, linkedIn}, {10, (*person).unlink, linkedIn},
	}
}

// person returns the athlete with a number. It is the same one in each storm.
func (w *world) person(n int) *person {
	if w.people.athletes == nil {
		w.people.athletes, w.people.shared = map[int]*person{}, w.newBrowser()
	}
	if p := w.people.athletes[n]; p != nil {
		return p
	}
	p := &person{
		actor: &actor{w, strings.ToLower(firstnames[n%len(firstnames)]), rng(w.plan.Seed, "athlete", n)},
		id:    athleteID(n), fitbit: fitbitID(n), browsers: []*browser{w.newBrowser(), w.newBrowser(), w.people.shared},
	}
	p.eager = 4*time.Hour + p.upTo(12*time.Hour)
	for range deeds() {
		p.tastes = append(p.tastes, pick(p.actor, 0, 1, 1, 1, 4))
	}
	w.people.athletes[n] = p
	p.recordHistory()
	return p
}

func fitbitID(n int) string { return "FB" + string(rune('A'+n)) }

// live lets the athlete act until the storm ends.
func (p *person) live() {
	all := deeds()
	for p.rest(p.eager) {
		if !p.everConnected && p.oneIn(2) {
			p.connect()
			continue
		}
		weights, sum := make([]int, len(all)), 0
		for i, d := range all {
			if d.can == nil || d.can(p) {
				weights[i] = d.weight * p.tastes[i]
				sum += weights[i]
			}
		}
		if sum == 0 {
			continue
		}
		n := p.random.IntN(sum)
		for i, weight := range weights {
			if n -= weight; n < 0 {
				all[i].do(p)
				break
			}
		}
	}
}

// signedIn returns a browser in which the athlete is signed in; nil if there is
// none.
func (p *person) signedIn() *browser {
	var in []*browser
	for _, b := range p.browsers {
		if b.signedInAs(p.id) {
			in = append(in, b)
		}
	}
	if len(in) == 0 {
		return nil
	}
	return pick(p.actor, in...)
}

func (p *person) anyBrowser() *browser { return pick(p.actor, p.browsers...) }

// look looks at the pages of the site.
func (p *person) look() {
	b := p.signedIn()
	p.tell("looks at the site")
	b.get("/v1/me")
	b.get("/v1/me/sync")
	q := url.Values{}
	switch p.random.IntN(6) {
	case 0:
		q.Set("sport_type", pick(p.actor, "Run", "Ride"))
	case 1:
		q.Set("q", pick(p.actor, "renamed", p.name))
	case 2:
		q.Set("after", itoa(time.Now().Add(-p.upTo(100*day)).Unix()))
	case 3:
		q.Set("fields", "id,name,read_at")
	case 4:
		q.Set("limit", itoa(1+p.random.Int64N(200)))
	}
	for range 3 {
		var list struct {
			NextCursor string `json:"next_cursor"`
		}
		b.reload("/v1/me/activities?" + q.Encode()).read(&list)
		if list.NextCursor == "" {
			break
		}
		q.Set("cursor", list.NextCursor)
	}
	b.get("/v1/me/stats?by=" + pick(p.actor, "day", "week", "month", "year"))
}

// reload opens a page, unless it is as it was the last time.
func (b *browser) reload(address string) page {
	var header []string
	if tag := b.tags[address]; tag != "" {
		header = []string{"If-None-Match", tag}
	}
	res := b.get(address, header...)
	if tag := res.header.Get("ETag"); res.status == http.StatusOK {
		b.tags[address] = tag
	}
	return res
}

// peek asks for an activity of another athlete, or for one of the own.
func (p *person) peek() {
	owner := athleteID(p.random.IntN(p.w.plan.Athletes))
	all, err := p.w.strava.Activities(owner)
	if err != nil {
		panic(err)
	}
	if len(all) > 0 {
		id := pick(p.actor, all...).ID
		res := p.signedIn().get("/v1/me/activities/" + itoa(id))
		p.tell("asks for activity %d of %d: status %d", id, owner, res.status)
	}
}

func (p *person) export() { p.signedIn().get("/v1/me/export") }

func (p *person) requestGather() {
	p.tell("asks to gather: status %d", p.signedIn().send(http.MethodPost, "/v1/me/sync", nil).status)
}

func (p *person) makeKey() {
	body, until := `{"name":"watch"}`, time.Now().Add(10*month)
	if p.oneIn(3) {
		until = time.Now().Add(time.Hour + p.upTo(10*day))
		body = `{"name":"watch","expires_at":"` + until.Format(time.RFC3339) + `"}`
	}
	res := p.signedIn().send(http.MethodPost, "/v1/me/keys", []byte(body))
	p.tell("makes a key: status %d", res.status)
	var made struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
	}
	if res.read(&made); res.status == http.StatusCreated {
		p.keys = append(p.keys, key{made.ID, made.Secret})
		p.w.people.given(made.Secret, true, until)
	}
}

// useKey lets a program read with a key.
func (p *person) useKey() {
	k := pick(p.actor, p.keys...)
	path := pick(p.actor, "/v1/me", "/v1/me/activities?limit=200", "/v1/me/sync", "/v1/me/stats")
	res := p.w.newBrowser().get(path, "Authorization", "Bearer "+k.secret)
	p.tell("uses a key: status %d", res.status)
}

func (p *person) revokeKey() {
	i := p.random.IntN(len(p.keys))
	k := p.keys[i]
	p.w.people.mayEnd(func(i *issued) bool { return i.secret == k.secret })
	res := p.signedIn().send(http.MethodDelete, "/v1/me/keys/"+url.PathEscape(k.id), nil)
	p.tell("revokes a key: status %d", res.status)
	if res.status == http.StatusNoContent {
		p.w.people.ended(func(i *issued) bool { return i.secret == k.secret })
	}
}

func (p *person) logOut() {
	b := p.signedIn()
	secret := b.session()
	res := b.send(http.MethodPost, "/oauth/logout", nil)
	p.tell("logs out: status %d", res.status)
	if res.status == http.StatusNoContent {
		p.w.people.ended(func(i *issued) bool { return i.secret == secret })
	}
}

func (p *person) logOutEverywhere() {
	asked := time.Now()
	p.w.people.mayEnd(func(i *issued) bool { return !i.key && i.owner == p.id })
	res := p.signedIn().send(http.MethodDelete, "/v1/me/sessions", nil)
	p.tell("logs out everywhere: status %d", res.status)
	if res.status == http.StatusNoContent {
		p.w.people.ended(func(i *issued) bool { return !i.key && i.owner == p.id && !i.since.After(asked) })
	}
}

// leave asks for erasure, and again if no answer comes.
func (p *person) leave() {
	b := p.signedIn()
	for range 1 + p.random.IntN(3) {
		res := b.send(http.MethodDelete, "/v1/me", nil)
		p.tell("leaves: status %d", res.status)
		if p.keepReceipt(res) && !p.oneIn(4) {
			break
		}
		p.wait(3 * time.Minute)
	}
	for range p.random.IntN(4) {
		p.wait(pick(p.actor, time.Minute, time.Hour))
		p.followReceipt()
	}
}

// keepReceipt keeps the receipt of an answer, if it has one.
func (p *person) keepReceipt(res page) bool {
	var answer struct {
		Receipt string `json:"receipt"`
	}
	if res.read(&answer); res.status != http.StatusAccepted || answer.Receipt == "" {
		return false
	}
	p.receipts = append(p.receipts, answer.Receipt)
	return true
}

// followReceipt looks how far an erasure is. Nothing but the receipt is needed.
func (p *person) followReceipt() {
	if len(p.receipts) == 0 {
		return
	}
	var state struct {
		State string `json:"state"`
	}
	res := p.w.newBrowser().get("/v1/erasures/" + url.PathEscape(pick(p.actor, p.receipts...)))
	res.read(&state)
	p.tell("looks at a receipt: %s", state.State)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
