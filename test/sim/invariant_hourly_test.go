package sim

import (
	"net/http"
	"testing"
	"time"

	"github.com/paceline/paceline/pkg/activity"
	"github.com/paceline/paceline/pkg/athlete"
	"github.com/paceline/paceline/pkg/credentials"
	"github.com/paceline/paceline/pkg/event"
	"github.com/paceline/paceline/pkg/event/gatheringv1"
	"github.com/paceline/paceline/pkg/gathering"
	"github.com/paceline/paceline/pkg/gathering/quota"
	"github.com/paceline/paceline/pkg/kit/kittest"
	"github.com/paceline/paceline/pkg/kit/secret"
	"github.com/paceline/paceline/standin/strava"
)

func TestEveryHourIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*checked)
		want []string
	}{
		"an hour passes": {func(*checked) { time.Sleep(time.Hour) }, nil},
		"an activity is lost": {func(c *checked) {
			time.Sleep(3 * time.Hour)
			c.checkHourly()
			time.Sleep(time.Hour)
			c.remove(ada)
		}, []string{nothingLost}},
		"an activity is lost after a wrong list": {func(c *checked) {
			time.Sleep(3 * time.Hour)
			c.checkHourly()
			pair, _ := c.pair(c.grant(ada).Account, c.grant(ada).Tokens)
			c.fault = &strava.Fault{Kind: strava.Fault200EmptyList, Count: 1}
			c.call(http.MethodGet, "/api/v3/athlete/activities", pair.Access.Reveal(), nil)
			time.Sleep(time.Hour)
			c.remove(ada)
		}, nil},
		"an activity is edited and lost": {func(c *checked) {
			time.Sleep(3 * time.Hour)
			c.checkHourly()
			name := "new"
			kittest.Must(c.t, c.server.EditActivity(ada, c.records(ada)[0].Activity.ID, strava.Edit{Name: &name}))
			time.Sleep(time.Hour)
			c.remove(ada)
		}, nil},
		"a deletion is not noticed for 49 hours": {func(c *checked) {
			kittest.Must(c.t, c.server.DeleteActivity(ada, c.records(ada)[0].Activity.ID))
			c.checkHourly()
			time.Sleep(49 * time.Hour)
		}, []string{deletionsGone}},
		"a hidden activity is not noticed for 49 hours": {func(c *checked) {
			c.exchange(ada, "read,activity:read")
			c.checkHourly()
			time.Sleep(49 * time.Hour)
		}, []string{deletionsGone}},
		"a deletion waits while things fail": {func(c *checked) {
			kittest.Must(c.t, c.server.DeleteActivity(ada, c.records(ada)[0].Activity.ID))
			c.checkHourly()
			time.Sleep(49 * time.Hour)
			c.failed()
		}, nil},
		"nothing is swept for 8 days": {func(*checked) { time.Sleep(8 * 24 * time.Hour) }, []string{firstScan, retained}},
		"a total is wrong": {func(c *checked) {
			c.invariants.activity.DropExpired(time.Now().AddDate(1, 0, 0), func() bool { return true })
			c.hours = newHourly()
		}, []string{trueTotals}},
		"a request to leave is pending": {func(c *checked) {
			c.setAccount(ada, func(a *athlete.Account) {
				a.ErasureRequest = &athlete.ErasureRequest{Receipt: "r", RequestedAt: time.Now()}
			})
			time.Sleep(2 * time.Hour)
		}, []string{erasedInTime}},
		"an erasure is pending": {func(c *checked) {
			c.erasure(time.Now())
			time.Sleep(2 * time.Hour)
		}, []string{erasedInTime}},
		"an erasure has just begun": {func(c *checked) { c.erasure(time.Now()) }, nil},
		"a webhook waits": {func(c *checked) {
			c.setInbox(ada, func(m *gathering.Inbox) { m.Job.Class, m.Job.Due = quota.Webhook, time.Now() })
			time.Sleep(time.Hour)
		}, []string{workInTime}},
		"a webhook waits for the rate limit": {func(c *checked) {
			c.setInbox(ada, func(m *gathering.Inbox) { m.Job.Class, m.Job.Due = quota.Webhook, time.Now() })
			time.Sleep(time.Hour)
			c.server.SetUsage(strava.Usage{Read: strava.Limit{99, 999}})
		}, nil},
		"a task of a grant waits": {func(c *checked) {
			c.setGrant(ada, func(g *credentials.Grant) {
				g.Unpublished, g.Retry = true, credentials.RetryState{Since: time.Now(), Next: time.Now()}
			})
			time.Sleep(time.Hour)
		}, []string{workInTime}},
		"a first scan does not begin": {func(c *checked) {
			c.connect(bo, "read,activity:read")
			time.Sleep(time.Hour)
		}, []string{firstScan}},
		"a first scan without the right to read": {func(c *checked) {
			c.connect(bo, "read")
			time.Sleep(time.Hour)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			whileChecked(t, func(c *checked) {
				tc.do(c)
				c.checkHourly()
				c.want(tc.want...)
			})
		})
	}
}

// remove removes an activity from the plane.
func (c *checked) remove(id int64) {
	c.t.Helper()
	r := c.records(id)[0]
	kittest.Must(c.t, c.invariants.activity.PutDeletion(c.t.Context(), activity.Deletion{
		By: activity.Authorization{AthleteID: id, Generation: r.Generation}, At: time.Now(), ActivityID: r.Activity.ID,
	}))
}

func (c *checked) setInbox(id int64, change func(*gathering.Inbox)) {
	c.t.Helper()
	_, err := c.gathering.Store.UpdateInbox(c.t.Context(), id, func(m *gathering.Inbox) (bool, error) { change(m); return true, nil })
	kittest.Must(c.t, err)
}

// erasure opens an erasure that one part has confirmed.
func (c *checked) erasure(at time.Time) {
	c.t.Helper()
	_, err := c.athlete.Erasures.Update(c.t.Context(), "receipt", func(e *athlete.Erasure) (bool, error) {
		e.RequestedAt, e.Parts, e.Confirmed = at, []string{"activity", "athlete"}, map[string]time.Time{"athlete": at}
		return true, nil
	})
	kittest.Must(c.t, err)
}

func TestRestIsChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*checked)
		want []string
	}{
		"an activity is missing":     {func(c *checked) { c.remove(ada) }, []string{trueProgress, trueData}},
		"an activity has changed":    {func(c *checked) { c.put(ada, func(a *gatheringv1.Activity) { a.Distance++ }) }, []string{trueData}},
		"an activity is too many":    {func(c *checked) { c.put(ada, func(a *gatheringv1.Activity) { a.ID += 100 }) }, []string{trueProgress, trueData}},
		"an activity has a position": {func(c *checked) { c.put(ada, func(a *gatheringv1.Activity) { a.Name = strava.SyntheticPolyline }) }, []string{noLeaks, trueData}},
		"a token is stored": {func(c *checked) {
			pair, _ := c.pair(c.grant(ada).Account, c.grant(ada).Tokens)
			c.setGrant(ada, func(g *credentials.Grant) { g.Reason = pair.Access.Reveal() })
		}, []string{noLeaks}},
		"an activity was deleted": {func(c *checked) {
			kittest.Must(c.t, c.server.DeleteActivity(ada, c.records(ada)[0].Activity.ID))
		}, []string{trueData}},
		"an activity is not covered": {func(c *checked) {
			c.setGrant(ada, func(g *credentials.Grant) { g.Scopes = []string{"read", "activity:read"} })
		}, []string{agreement, trueData}},
		"Strava cannot read an activity": {func(c *checked) {
			kittest.Must(c.t, c.server.CorruptActivity(ada, c.records(ada)[0].Activity.ID))
			c.remove(ada)
		}, nil},
		"the profile has changed": {func(c *checked) {
			c.setAccount(ada, func(a *athlete.Account) { p := *a.Profile; p.Lastname = "Other"; a.Profile = &p })
		}, []string{trueData}},
		"the profile is missing": {func(c *checked) { c.setAccount(ada, func(a *athlete.Account) { a.Profile = nil }) }, []string{trueData}},

		"Strava does not know her": {func(c *checked) { kittest.Must(c.t, c.server.Deauthorize(ada)) }, []string{agreement}},
		"we do not know him":       {func(c *checked) { c.exchange(bo, "read,activity:read") }, []string{agreement}},
		"his tokens may be lost":   {func(c *checked) { c.exchange(bo, "read,activity:read"); c.failed() }, nil},
		"a grant is degraded although its tokens are valid": {func(c *checked) {
			c.failed()
			c.setGrant(ada, func(g *credentials.Grant) { g.State, g.Reason = credentials.Degraded, "token_refused" })
		}, []string{agreement}},
		"a grant is degraded although the scopes suffice": {func(c *checked) {
			c.setGrant(ada, func(g *credentials.Grant) { g.State, g.Reason = credentials.Degraded, "scope_missing" })
		}, []string{agreement}},
		"she allows something else": {func(c *checked) {
			time.Sleep(time.Second)
			c.exchange(ada, "read,activity:read_all")
		}, []string{agreement}},
		"she allows something else, after a failure": {func(c *checked) {
			time.Sleep(time.Second)
			c.exchange(ada, "read,activity:read_all")
			c.failed()
		}, nil},
		"she allows two things at once": {func(c *checked) {
			kittest.Must(c.t, c.server.UpdateSettings(func(s *strava.Settings) { s.Rotation = strava.RotateNever }))
			c.exchange(ada, "read,activity:read_all")
		}, nil},
		"she allows two things at once, and Strava shows which one": {func(c *checked) {
			c.exchange(ada, "read,activity:read_all")
		}, []string{agreement}},
		"the site shows another consent": {func(c *checked) {
			c.setAccount(ada, func(a *athlete.Account) { s := *a.Consent; s.Scopes = nil; a.Consent = &s })
		}, []string{agreement}},

		"she left, and all is left": {func(c *checked) {
			c.ended(ada)
			kittest.Must(c.t, c.server.Deauthorize(ada))
		}, []string{departed}},
		"she left, and a token is left": {func(c *checked) {
			kittest.Must(c.t, c.server.Deauthorize(ada))
			c.erased(ada)
			_, err := c.credentials.Vault.SaveTokens(c.t.Context(), credentials.Athlete(ada), 1, credentials.TokenPair{})
			kittest.Must(c.t, err)
		}, []string{departed}},
		"she left, and nothing is left": {func(c *checked) {
			kittest.Must(c.t, c.server.Deauthorize(ada))
			c.erased(ada)
		}, nil},

		"a task is left":  {func(c *checked) { c.setGrant(ada, func(g *credentials.Grant) { g.Unpublished = true }) }, []string{nothingDue}},
		"a claim is left": {func(c *checked) { c.setGrant(ada, func(g *credentials.Grant) { g.Claim.ClaimedAt = time.Now() }) }, []string{nothingDue}},
		"a hint is left": {func(c *checked) {
			c.setInbox(ada, func(m *gathering.Inbox) { m.Hints = []gathering.Hint{{ActivityID: 1}} })
		}, []string{nothingDue}},
		"a lease is left": {func(c *checked) {
			c.setInbox(ada, func(m *gathering.Inbox) { m.Job.LeasedUntil = time.Now().Add(time.Minute) })
		}, []string{nothingDue}},
		"a scan is left": {func(c *checked) {
			c.setScan(ada, func(a *gathering.Athlete) { a.Scan.State = gatheringv1.ScanScanning })
		}, []string{nothingDue}},
		"an erasure is left": {func(c *checked) { c.erasure(time.Now()) }, []string{nothingDue}},
		"a request to leave": {func(c *checked) {
			c.setAccount(ada, func(a *athlete.Account) { a.ErasureRequest = &athlete.ErasureRequest{} })
		}, []string{nothingDue}},
		"a dead letter is left": {func(c *checked) { c.deadLetters = func() int { return 1 } }, []string{nothingDue}},
		"a connect is left": {func(c *checked) {
			kittest.Must(c.t, c.credentials.Vault.SavePendingConnect(c.t.Context(), credentials.PendingConnect{Account: credentials.Athlete(bo)}))
		}, []string{departed, nothingDue}},
		"a permit is outstanding": {func(c *checked) {
			kittest.Must(c.t, c.gathering.Budgets.UpdateBudget(c.t.Context(), func(b *quota.Budget) (bool, error) {
				b.Outstanding = []quota.Permit{{ID: 1, Expires: time.Now().Add(time.Minute)}}
				return true, nil
			}))
		}, []string{nothingDue}},

		"a session works after logging out": {func(c *checked) { c.session().ended = time.Now() }, []string{identities}},
		"a session works":                   {func(c *checked) { c.session() }, nil},
		"a session is gone":                 {func(c *checked) { c.drop(c.session()) }, []string{identities}},
		"a session is gone, of which that was asked": {func(c *checked) {
			i := c.session()
			i.mayHaveEnded = true
			c.drop(i)
		}, nil},
		"a session has expired": {func(c *checked) { c.session(); time.Sleep(9 * day) }, []string{trueProgress, trueData}},
		"an alarm rings": {func(c *checked) {
			time.Sleep(day + time.Hour)
			c.rang = func(time.Time) []string { return []string{"jobs fail"} }
		}, []string{quiet}},
		"an alarm rings after a failure": {func(c *checked) {
			time.Sleep(day + time.Hour)
			c.failed()
			c.rang = func(time.Time) []string { return []string{"jobs fail"} }
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			whileChecked(t, func(c *checked) {
				tc.do(c)
				c.checkAtRest()
				c.want(tc.want...)
			})
		})
	}
}

// drop deletes a session.
func (c *checked) drop(i *issued) {
	c.t.Helper()
	sessions := credentials.Ports{CredentialStore: c.credentials.Credentials}.Sessions()
	kittest.Must(c.t, sessions.End(c.t.Context(), secret.New(i.secret)))
}

// session opens a session of Ada, some time after she connected.
func (c *checked) session() *issued {
	c.t.Helper()
	time.Sleep(2 * skewBound)
	ports := credentials.Ports{
		CredentialStore: c.credentials.Credentials, Events: event.Factory{Now: time.Now}, NewSecret: func() string { return "secret" + clockTime(time.Now()) },
	}
	token, err := ports.Sessions().Open(c.t.Context(), credentials.Authorization{AthleteID: ada, Generation: c.grant(ada).Generation})
	kittest.Must(c.t, err)
	i := &issued{owner: ada, secret: token.Reveal(), since: time.Now(), until: time.Now().Add(7 * day)}
	c.invariants.issued = func() []*issued { return []*issued{i} }
	return i
}

// erased erases an athlete everywhere.
func (c *checked) erased(id int64) {
	c.t.Helper()
	generation := c.grant(id).Generation
	c.ended(id)
	kittest.Must(c.t, c.invariants.activity.UpdateGuard(c.t.Context(), id, func(g *activity.Guard) (bool, error) {
		return g.Revoke(generation, time.Now()), nil
	}))
	c.setAccount(id, func(a *athlete.Account) { *a = athlete.Account{} })
	c.setScan(id, func(a *gathering.Athlete) {
		*a = gathering.Athlete{ID: id, Generation: generation, State: gathering.Revoked}
	})
	kittest.Must(c.t, c.gathering.Store.DropInbox(c.t.Context(), gathering.Authorization{AthleteID: id, Generation: generation}))
}

func TestRefreshesAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(c *checked, first string)
		want []string
	}{
		"the newer token is in the grant": {func(c *checked, first string) {
			_, body := c.refresh(first)
			c.save(ada, pairOf(c.t, body))
			time.Sleep(time.Hour)
			c.refresh(first)
		}, []string{liveTokens}},
		"the newer token was lost": {func(c *checked, first string) {
			c.refresh(first)
			time.Sleep(time.Hour)
			c.refresh(first)
		}, nil},
		"the token is presented again": {func(c *checked, first string) {
			c.refresh(first)
			time.Sleep(time.Hour)
			c.refresh(first)
			time.Sleep(time.Hour)
			c.refresh(first)
		}, []string{liveTokens}},
		"the token is presented again after a failure": {func(c *checked, first string) {
			c.refresh(first)
			time.Sleep(time.Hour)
			c.refresh(first)
			c.failed()
			c.refresh(first)
		}, nil},
		"access is withdrawn": {func(c *checked, first string) {
			kittest.Must(c.t, c.server.Deauthorize(ada))
			c.refresh(first)
			c.refresh(first)
		}, nil},
		"two at a time": {func(c *checked, first string) {
			outer := c.client
			c.client = &http.Client{Transport: c.watchRefreshes(roundTripper(func(r *http.Request) (*http.Response, error) {
				c.client = outer
				c.refresh(first)
				return outer.Transport.RoundTrip(r)
			}))}
			c.refresh(first)
		}, []string{oneRefresh}},
	} {
		t.Run(name, func(t *testing.T) {
			whileChecked(t, func(c *checked) {
				pair, _ := c.pair(c.grant(ada).Account, c.grant(ada).Tokens)
				tc.do(c, pair.Refresh.Reveal())
				c.want(tc.want...)
			})
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRateLimitsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(*checked)
		calls  int
		caller string
		want   []string
	}{
		"within the limit":             {func(*checked) {}, 90, requester, nil},
		"beyond the limit":             {func(*checked) {}, 101, requester, []string{noOwn429}},
		"beyond it, for a claim":       {func(*checked) {}, 101, "credentials/handle-events", nil},
		"another client used it up":    {func(c *checked) { c.server.SetUsage(strava.Usage{Read: strava.Limit{100, 100}}) }, 1, requester, nil},
		"we call though it is so":      {func(c *checked) { c.server.SetUsage(strava.Usage{Read: strava.Limit{100, 100}}) }, 2, requester, []string{noOwn429}},
		"things fail beyond it":        {(*checked).failed, 101, requester, nil},
		"a 429 that is Strava's fault": {func(c *checked) { c.fault = &strava.Fault{Kind: strava.Fault429, Count: 1} }, 1, requester, nil},
	} {
		t.Run(name, func(t *testing.T) {
			whileChecked(t, func(c *checked) {
				time.Sleep(time.Hour)
				pair, _ := c.pair(c.grant(ada).Account, c.grant(ada).Tokens)
				tc.before(c)
				c.caller = tc.caller
				for range tc.calls {
					c.call(http.MethodGet, "/api/v3/athlete", pair.Access.Reveal(), nil)
				}
				c.want(tc.want...)
			})
		})
	}
}
