package sim

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// consent is what an athlete chooses on a provider's page.
type consent struct {
	// scopes are those that stay checked, separated by commas; empty for all.
	scopes string
	deny   bool
	// thinks is how long the athlete looks at the page.
	thinks time.Duration
}

// consent draws a choice: mostly all scopes.
func (p *person) consent() consent {
	c := consent{thinks: time.Second + p.upTo(40*time.Second)}
	if p.oneIn(15) {
		c.thinks = p.upTo(8 * time.Minute) // The connect may take 5.
	}
	switch p.random.IntN(10) {
	case 0:
		c.scopes = "read"
	case 1, 2:
		c.scopes = "read,activity:read"
	case 3:
		c.scopes = "activity:read_all"
	case 4:
		c.scopes = "activity:read"
	case 5:
		c.deny = p.oneIn(2)
	}
	return c
}

// begin begins a connect, and returns the address of the provider's page; empty
// if the site leads elsewhere.
func (p *person) begin(b *browser, path string) string {
	at := b.get(path).location()
	switch {
	case at.Host == host(stravaURL), at.Host == host(fitbitURL):
		return at.String()
	case at.Query().Get("error") == "app_full":
		p.joinWaitlist(b)
	}
	return ""
}

// connectPath is where the site's button leads. Athletes who have been connected
// say so.
func (p *person) connectPath() string {
	if p.everConnected && !p.oneIn(3) {
		return "/oauth/connect?returning=1"
	}
	return "/oauth/connect"
}

// agree chooses on Strava's page, and returns where that leads; empty if nowhere.
func (p *person) agree(b *browser, address string, c consent) string {
	p.w.k.pause(c.thinks)
	address += "&as_athlete=" + url.QueryEscape(itoa(p.id))
	if c.scopes != "" {
		address += "&accept_scope=" + url.QueryEscape(c.scopes)
	}
	if c.deny {
		address += "&deny=1"
	}
	back := b.get(address).location()
	if back.Host != host(siteURL) {
		return ""
	}
	p.lastCallback = back.String()
	return p.lastCallback
}

// finish follows the redirect back to the site. An athlete whom the site asks to
// try again does so sometimes.
func (p *person) finish(b *browser, callback string) {
	before := b.session()
	res := b.get(callback, "Sec-Fetch-Site", "cross-site")
	if res.status != http.StatusFound {
		p.tell("is not connected: status %d", res.status)
		return
	}
	at := res.location()
	if why := at.Query().Get("error"); why != "" {
		p.tell("is not connected: %s", why)
		if why == "app_full" {
			p.joinWaitlist(b)
		}
		return
	}
	if b.session() == before || !b.signedInAs(p.id) {
		return
	}
	p.everConnected = true
	p.tell("is connected")
}

// connect connects as most people do.
func (p *person) connect() {
	b, c := p.anyBrowser(), p.consent()
	p.tell("connects%s", c)
	if at := p.begin(b, p.connectPath()); at != "" {
		if back := p.agree(b, at, c); back != "" {
			p.finish(b, back)
		}
	}
}

// String returns the choice for the story.
func (c consent) String() string {
	switch {
	case c.deny:
		return " and denies"
	case c.scopes != "":
		return " with " + c.scopes
	}
	return ""
}

// connectInTwoTabs connects twice at once in one browser.
func (p *person) connectInTwoTabs() {
	b := p.anyBrowser()
	p.tell("connects in two tabs")
	one, two := p.begin(b, p.connectPath()), p.begin(b, p.connectPath())
	if one == "" || two == "" {
		return
	}
	one, two = p.agree(b, one, p.consent()), p.agree(b, two, p.consent())
	if one == "" || two == "" {
		return
	}
	if p.oneIn(2) {
		p.w.k.spawn(p.name, 0, func() { p.finish(b, two) })
	} else {
		p.finish(b, two)
	}
	p.finish(b, one)
}

// connectPrefetching connects with a browser that opens links before the athlete
// does, and says so or not.
func (p *person) connectPrefetching() {
	b, c := p.anyBrowser(), p.consent()
	header := [][]string{{"Sec-Purpose", "prefetch"}, {"X-Moz", "prefetch"}, {}}[p.random.IntN(3)]
	p.tell("connects%s with a browser that prefetches", c)
	b.get("/oauth/connect", header...)
	at := p.begin(b, p.connectPath())
	if at == "" {
		return
	}
	back := p.agree(b, at, c)
	if back == "" {
		return
	}
	if len(header) == 0 {
		p.w.k.spawn(p.name, 0, func() { p.finish(b, back) })
	} else {
		b.get(back, header...)
	}
	p.finish(b, back)
}

// reloadCallback opens the address again to which Strava led last.
func (p *person) reloadCallback() {
	p.tell("reloads the callback")
	p.finish(p.anyBrowser(), p.lastCallback)
}

// joinWaitlist sends the form of the page that says that there is no place.
func (p *person) joinWaitlist(b *browser) {
	if p.oneIn(2) {
		return
	}
	p.wait(20 * time.Second)
	res := b.send(http.MethodPost, "/oauth/waitlist", []byte(`{"contact":"`+p.name+`@example.org"}`))
	p.tell("joins the waitlist: status %d", res.status)
}

// link links the account at Fitbit. Athletes of one household sometimes take
// another's.
func (p *person) link() {
	b := p.signedIn()
	user := p.fitbit
	if p.oneIn(6) {
		user = fitbitID(p.random.IntN(p.w.plan.Athletes))
	}
	p.tell("links %s", user)
	at := p.begin(b, "/oauth/fitbit/connect")
	if at == "" {
		return
	}
	p.wait(30 * time.Second)
	at += "&as_user=" + user
	switch p.random.IntN(8) {
	case 0:
		at += "&deny=1"
	case 1:
		at += "&accept_scope=profile"
	}
	back := b.get(at).location()
	if back.Host != host(siteURL) {
		return
	}
	res := b.get(back.String(), "Sec-Fetch-Site", "cross-site")
	if p.oneIn(4) {
		b.get(back.String(), "Sec-Fetch-Site", "cross-site")
	}
	why := strings.TrimPrefix(res.location().RawQuery, "error=")
	p.tell("has linked %s: status %d %s", user, res.status, why)
	p.linked = p.linked || res.status == http.StatusFound && why == ""
}

// lookAtLink looks at the day at Fitbit.
func (p *person) lookAtLink() { p.signedIn().get("/v1/me/links/fitbit") }

// unlink unlinks the account at Fitbit.
func (p *person) unlink() {
	res := p.signedIn().send(http.MethodDelete, "/v1/me/links/fitbit", nil)
	p.tell("unlinks: status %d", res.status)
	p.keepReceipt(res)
}

// withdrawAtFitbit removes the application at Fitbit.
func (p *person) withdrawAtFitbit() {
	if p.w.fitbit.Deauthorize(p.fitbit) == nil {
		p.tell("withdraws at Fitbit")
	}
}
